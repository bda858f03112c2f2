// A real store for the benchmarks of one adapter: a private server, or a file, in a folder
// on the disk that is measured, with one number for each client.
#pragma once

#include <memory>
#include <string>

#include "bench/disk.h"
#include "faults/servers.h"
#include "participants/participant.h"

namespace indoubt::bench {

enum class StoreKind { kPostgres, kRedis, kSqlite };

/// Exits with a message when the store does not start.
class AdapterStore {
 public:
  AdapterStore(StoreKind kind, int numbers);

  Participant& participant() { return *participant_; }
  /// Adds 1 to the number of `client`, from 0.
  Statement Add(int client) const;
  /// The sum of all numbers, as the store's own shell sees it.
  std::string Sum() const;
  SyncProbe& probe() { return probe_; }

 private:
  void StartPostgres(int numbers);
  void StartRedis(int numbers);
  void MakeSqlite(int numbers);

  const StoreKind kind_;
  const DataFolder folder_;
  SyncProbe probe_;
  std::unique_ptr<PostgresServer> postgres_;
  std::unique_ptr<RedisServer> redis_;
  std::unique_ptr<Participant> participant_;
};

}  // namespace indoubt::bench
