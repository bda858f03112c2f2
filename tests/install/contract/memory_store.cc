#include "memory_store.h"

#include <algorithm>
#include <cerrno>
#include <new>

#include <indoubt/base/check.h>
#include <sys/mman.h>

Text& Text::operator=(const std::string& text) {
  INDOUBT_CHECK(text.size() < bytes.size(), "names are short");
  bytes.fill('\0');
  std::copy(text.begin(), text.end(), bytes.begin());
  return *this;
}

Number* Contents::Find(const std::string& name) {
  for (Number& number : numbers) {
    if (number.name == name) return &number;
  }
  return nullptr;
}

bool Contents::Set(const std::string& name, int64_t value) {
  Number* number = Find(name);
  if (number == nullptr) number = Find("");
  if (number == nullptr) return false;
  number->name = name;
  number->value = value;
  return true;
}

Intent* Contents::FindIntent(const std::string& branch) {
  for (Intent& intent : intents) {
    if (intent.branch == branch) return &intent;
  }
  return nullptr;
}

std::optional<std::string> Contents::HolderOf(const std::string& name) {
  for (const Intent& intent : intents) {
    if (intent.branch == "") continue;
    for (const Number& write : intent.writes) {
      if (write.name == name) return intent.branch.str();
    }
  }
  return std::nullopt;
}

bool Contents::IsCommitted(const std::string& branch) {
  return std::any_of(committed.begin(), committed.end(),
                     [&](const Text& one) { return one == branch; });
}

MemoryStore::MemoryStore() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  INDOUBT_CHECK(memory != MAP_FAILED, "shared memory");
  shared_ = new (memory) Shared{};
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&shared_->mutex, &kind);
  pthread_mutexattr_destroy(&kind);
}

MemoryStore::~MemoryStore() {
  pthread_mutex_destroy(&shared_->mutex);
  munmap(shared_, sizeof(Shared));
}

void MemoryStore::Change(const std::function<bool(Contents&)>& change) {
  // Whoever was killed while it held the mutex has changed the copy that nobody reads.
  if (pthread_mutex_lock(&shared_->mutex) == EOWNERDEAD) {
    pthread_mutex_consistent(&shared_->mutex);
  }
  const int current = shared_->current;
  Contents& next = shared_->copies[1 - current];
  next = shared_->copies[current];
  if (change(next)) shared_->current = 1 - current;
  pthread_mutex_unlock(&shared_->mutex);
}
