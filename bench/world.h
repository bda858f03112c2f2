// What every benchmark runs on: three stores in memory, a decision log in files on a
// real disk, and a coordinator over them.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "bench/disk.h"
#include "bench/memory_store.h"
#include "coordinator/coordinator.h"

namespace indoubt::bench {

/// Set by the command line before the first benchmark.
struct Settings {
  std::string data = "/var/tmp";  // where the data folders are made
  bool small = false;             // few transactions: whether it runs, not how fast
};
Settings& TheSettings();

class World {
 public:
  static constexpr size_t kStores = 3;

  explicit World(uint64_t segment_bytes = 16u << 20);
  ~World();

  /// Opens the log and starts a coordinator on it; exits with a message if that fails.
  void Start();
  /// Ends it in order, as far as it was started.
  void End();
  /// Only the log, for who fills it without a coordinator.
  std::unique_ptr<DecisionLog> OpenLog();
  /// Drops the log's files from the page cache.
  void ForgetPages() const;

  Coordinator& coordinator() { return *coordinator_; }
  /// The log of the coordinator that was started last.
  const DecisionLog& log() const { return *log_; }
  CountingFileSystem& files() { return files_; }
  std::array<MemoryStore, kStores>& stores() { return stores_; }
  SyncProbe& probe() { return probe_; }

  /// One statement at each store.
  static TransactionRequest Request();
  /// Why the stores do not hold exactly `committed` commits and nothing else; empty
  /// when they do.
  std::string Wrong(uint64_t committed) const;

 private:
  const DataFolder folder_;
  const uint64_t segment_bytes_;
  CountingFileSystem files_;
  std::array<MemoryStore, kStores> stores_;
  SyncProbe probe_;
  const DecisionLog* log_ = nullptr;
  std::unique_ptr<Coordinator> coordinator_;
};

}  // namespace indoubt::bench
