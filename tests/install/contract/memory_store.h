// Numbers under names, in memory that all processes of a program share: the smallest store
// that outlives its coordinator. Every change is whole or not made, whoever is killed in it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <pthread.h>

/// Text of a bounded length, as shared memory needs it.
struct Text {
  std::array<char, 168> bytes;
  std::string str() const { return bytes.data(); }
  bool operator==(const std::string& other) const { return str() == other; }
  Text& operator=(const std::string& text);
};

struct Number {
  Text name;  // empty: a free place
  int64_t value;
};

/// A prepared branch: what its names will be.
struct Intent {
  Text branch;  // empty: a free place
  uint64_t token;
  std::array<Number, 8> writes;
};

struct Contents {
  std::array<Number, 64> numbers;
  std::array<Intent, 64> intents;
  std::array<Text, 2048> committed;  // branches whose end somebody may still ask for
  uint64_t last_token;
  bool foreign;  // another program's prepared work

  Number* Find(const std::string& name);
  /// Makes the name when it is not there; false: no room.
  bool Set(const std::string& name, int64_t value);
  Intent* FindIntent(const std::string& branch);
  /// The branch that holds `name`.
  std::optional<std::string> HolderOf(const std::string& name);
  bool IsCommitted(const std::string& branch);
};

/// Make it before there is a second process. Thread-safe, and safe between processes.
class MemoryStore {
 public:
  MemoryStore();
  ~MemoryStore();
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  /// Runs `change` on a copy, alone; the copy is what the store holds once it returns true.
  void Change(const std::function<bool(Contents&)>& change);

 private:
  struct Shared {
    pthread_mutex_t mutex;
    std::atomic<int> current;
    Contents copies[2];
  };
  Shared* shared_;
};
