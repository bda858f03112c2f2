#include "bench/world.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "recovery/file_log.h"

namespace indoubt::bench {
namespace {

constexpr const char* kNames[World::kStores] = {"accounts", "stock", "ledger"};
constexpr const char* kNode = "bench-1";
/// A group of one commit over three branches, as `indoubt log inspect` shows it.
constexpr size_t kRecordBytes = 208;

template <typename T>
T OrExit(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "indoubt-bench: %s\n", result.error().ToString().c_str());
  std::exit(3);
}

}  // namespace

Settings& TheSettings() {
  static Settings settings;
  return settings;
}

World::World(uint64_t segment_bytes)
    : folder_(TheSettings().data),
      segment_bytes_(segment_bytes),
      probe_(folder_.path(), kRecordBytes) {}

World::~World() { End(); }

std::unique_ptr<DecisionLog> World::OpenLog() {
  return OrExit(OpenFileLog(files_, folder_.path() + "/decisions",
                            {.node = kNode, .segment_bytes = segment_bytes_}));
}

void World::Start() {
  End();
  std::unique_ptr<DecisionLog> log = OpenLog();
  log_ = log.get();
  std::vector<std::unique_ptr<Participant>> participants;
  for (size_t i = 0; i < kStores; ++i) {
    participants.push_back(MakeMemoryParticipant(kNames[i], stores_[i]));
  }
  coordinator_ =
      OrExit(Coordinator::Start({.node = kNode}, std::move(log), std::move(participants)));
}

void World::End() {
  log_ = nullptr;
  coordinator_.reset();
}

void World::ForgetPages() const {
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() + "/decisions")) {
    const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }
}

TransactionRequest World::Request() {
  TransactionRequest request;
  request.statements.reserve(kStores);
  for (const char* name : kNames) request.statements.push_back({name, {"add 1", {}, {}}});
  return request;
}

std::string World::Wrong(uint64_t committed) const {
  for (size_t i = 0; i < kStores; ++i) {
    const MemoryStore& store = stores_[i];
    if (store.committed() == committed && store.prepared_count() == 0 &&
        store.rolled_back() == 0 && store.surprises() == 0) {
      continue;
    }
    return fmt::format(
        "{}: {} of {} committed, {} rolled back, {} left prepared, {} commits of what was not "
        "prepared",
        kNames[i], store.committed(), committed, store.rolled_back(), store.prepared_count(),
        store.surprises());
  }
  return {};
}

}  // namespace indoubt::bench
