// Which servers a run was given, so that it is gone on with on the same ones.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "experiments/run.h"

namespace indoubt {

/// Asks the given servers who they are: {"postgres": {"system": "7412...", "database": "bank"},
/// "redis": {"address": "127.0.0.1:6379/0", "run_id": "..."}}, without those not given. Holds
/// no secret. kUnavailable.
Result<nlohmann::json> IdentifyGivenServers(const RunOptions& options);

/// Where `then` and `now` are not the same: a sentence that names the server; empty: they are.
/// PostgreSQL is known by its cluster and database, wherever it listens; Redis, which gets a
/// new name at each start, by that or by its address. What `then` lacks is not compared.
std::string OtherServer(const nlohmann::json& then, const nlohmann::json& now);

/// The given servers for one run alone: two that drop each other's tables would both be told
/// of writes that are lost. They are let go of when the process ends, however it ends.
class GivenServersHold {
 public:
  /// Nothing where none is given. kLocked when another run holds one; kUnavailable. Then drops
  /// what a run that was killed has left and no one else will miss: a slot of the cdc path that
  /// would keep the source's log for ever, its publication, its keys.
  static Result<std::unique_ptr<GivenServersHold>> Take(const RunOptions& options);
  ~GivenServersHold();
  GivenServersHold(const GivenServersHold&) = delete;
  GivenServersHold& operator=(const GivenServersHold&) = delete;

 private:
  GivenServersHold();
  struct Connections;
  const std::unique_ptr<Connections> connections_;
};

}  // namespace indoubt
