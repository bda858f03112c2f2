#include "experiments/paths/path_support.h"

#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "experiments/workloads/shop_derivation.h"
#include "experiments/workloads/shop_names.h"
#include "participants/postgres/postgres_participant.h"
#include "participants/redis/redis_participant.h"
#include "participants/sqlite/sqlite_participant.h"

namespace indoubt {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(50);

/// A TOML basic string; JSON's escapes are a subset of TOML's.
std::string Quoted(const std::string& text) { return nlohmann::json(text).dump(); }

}  // namespace

Result<Participants> MakeShopParticipants(const StoreEndpoints& stores, bool last_resource) {
  Participants participants;
  PostgresOptions postgres;
  postgres.last_resource = last_resource;
  postgres.name = kAccounts;
  postgres.dsn = stores.postgres_dsn;
  INDOUBT_ASSIGN_OR_RETURN(participants.emplace_back(), MakePostgresParticipant(postgres));
  RedisOptions redis;
  redis.name = kStock;
  redis.uri = stores.redis_uri;
  INDOUBT_ASSIGN_OR_RETURN(participants.emplace_back(), MakeRedisParticipant(redis));
  SqliteOptions sqlite;
  sqlite.name = kLedger;
  sqlite.path = stores.sqlite_path;
  sqlite.tables = {"entries"};
  INDOUBT_ASSIGN_OR_RETURN(participants.emplace_back(), MakeSqliteParticipant(sqlite));
  return participants;
}

Status PreflightAll(const Participants& participants, TimePoint deadline) {
  for (const auto& participant : participants) {
    auto report = participant->Preflight(deadline);
    if (!report) return report.error().WithContext(participant->name());
    if (!report->problems.empty()) {
      return Status(StatusCode::kRefused, participant->name() + ": " + report->problems[0]);
    }
  }
  return Status::Ok();
}

Status WriteShopConfig(const StoreEndpoints& stores, const std::string& path,
                       const std::string& listen, const std::string& cdc_name,
                       bool last_resource) {
  std::ofstream file(path);
  file << fmt::format(
      "[coordinator]\nnode = \"lab\"\nlisten = {}\n\n[log]\nkind = \"file\"\n"
      "path = \"decisions\"\n\n"
      "[participants.{}]\nkind = \"postgres\"\ndsn = {}\nlast_resource = {}\n\n"
      "[participants.{}]\nkind = \"redis\"\nuri = {}\n\n"
      "[participants.{}]\nkind = \"sqlite\"\npath = {}\ntables = [\"entries\"]\n\n",
      Quoted(listen), kAccounts, Quoted(stores.postgres_dsn), last_resource, kStock,
      Quoted(stores.redis_uri), kLedger, Quoted(stores.sqlite_path));
  file << fmt::format(
      "[cdc]\nsource = \"{0}\"\ntables = [\"orders\", \"item\"]\nslot = \"{4}\"\n"
      "log = {{ kind = \"sqlite\", path = \"events.db\" }}\n\n"
      "[views.{4}_stock]\nkind = \"redis\"\nsink = \"{1}\"\nderivation = \"{3}\"\n\n"
      "[views.{4}_ledger]\nkind = \"sqlite\"\nsink = \"{2}\"\nderivation = \"{3}\"\n",
      kAccounts, kStock, kLedger, kShopDerivation, cdc_name);
  file.close();
  return file ? Status::Ok() : Status(StatusCode::kIoError, "cannot write " + path);
}

Status AwaitNothingPrepared(const Participants& participants, TimePoint deadline) {
  for (int quiet = 0; quiet < 2;) {
    std::string left;
    for (const auto& participant : participants) {
      const auto branches = participant->ListPrepared(deadline);
      if (!branches) {
        left += fmt::format(" {}: {}", participant->name(), branches.error().message());
      } else if (!branches->empty()) {
        left += fmt::format(" {}: {} branches in doubt", participant->name(), branches->size());
      }
    }
    quiet = left.empty() ? quiet + 1 : 0;
    if (quiet < 2 && SystemClock().Now() > deadline) {
      return Status(StatusCode::kDeadlineExceeded, "not drained:" + left);
    }
    std::this_thread::sleep_for(kPoll);
  }
  return Status::Ok();
}

bool CanHaveLastResource(const std::string& name) {
  return name == "2pc" || name == "2pc-embedded";
}

std::vector<std::string> PathNames() {
  return {"2pc", "2pc-embedded", "cdc", "dual-write", "raw", "raw-grpc"};
}

Result<std::unique_ptr<Path>> MakePath(const std::string& name) {
  if (name == "2pc" || name == "raw-grpc" || name == "dual-write") return MakeServicePath(name);
  if (name == "2pc-embedded") return MakeEmbeddedPath();
  if (name == "raw") return MakeRawPath();
  if (name == "cdc") return MakeCdcPath();
  return Status(StatusCode::kInvalidArgument,
                fmt::format("no path is called \"{}\"; there are 2pc, 2pc-embedded, cdc, "
                            "dual-write, raw and raw-grpc",
                            name));
}

}  // namespace indoubt
