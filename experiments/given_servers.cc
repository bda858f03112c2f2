#include "experiments/given_servers.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "experiments/stores/store_clients.h"
#include "participants/redis/redis_uri.h"

namespace indoubt {
namespace {

using nlohmann::json;

Result<json> IdentifyPostgres(const std::string& dsn) {
  INDOUBT_ASSIGN_OR_RETURN(const auto client, PostgresClient::Connect(dsn));
  INDOUBT_ASSIGN_OR_RETURN(
      const auto rows,
      client->Query("SELECT system_identifier, current_database() FROM pg_control_system()"));
  return json{{"system", rows.at(0).at(0).value_or("")},
              {"database", rows.at(0).at(1).value_or("")}};
}

Result<json> IdentifyRedis(const std::string& uri) {
  INDOUBT_ASSIGN_OR_RETURN(const RedisAddress address, ParseRedisUri(uri));
  INDOUBT_ASSIGN_OR_RETURN(const auto client, RedisClient::Connect(uri));
  INDOUBT_ASSIGN_OR_RETURN(const auto reply, client->Run({"INFO", "server"}));
  const std::string text(reply->str, reply->len);
  constexpr std::string_view kKey = "run_id:";
  const size_t at = text.find(kKey);
  const size_t from = at + kKey.size();
  return json{{"address", fmt::format("{}/{}", address.Shown(), address.database)},
              {"run_id", at == std::string::npos
                             ? ""
                             : text.substr(from, text.find_first_of("\r\n", from) - from)}};
}

// Of this database alone, as an advisory lock is.
constexpr const char* kLockRun = "SELECT pg_try_advisory_lock(hashtext('indoubt run'))";
constexpr const char* kLeftSlots =
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
    "WHERE slot_name LIKE 'lab\\_%' AND NOT active AND database = current_database()";
constexpr const char* kLeftPublications =
    "SELECT quote_ident(pubname) FROM pg_publication WHERE pubname LIKE 'lab\\_%'";

Status Taken(const char* option, const char* what) {
  return Status(
      StatusCode::kLocked,
      fmt::format("{}: another indoubt run is going on in this database; wait for its "
                  "end, or give another {}",
                  option, what));
}

Status HoldPostgres(PostgresClient& client) {
  INDOUBT_ASSIGN_OR_RETURN(const auto locked, client.Query(kLockRun));
  if (locked.at(0).at(0) != "t") return Taken("--postgres", "database");
  INDOUBT_RETURN_IF_ERROR(client.Query(kLeftSlots).status());
  INDOUBT_ASSIGN_OR_RETURN(const auto publications, client.Query(kLeftPublications));
  for (const Row& row : publications) {
    INDOUBT_RETURN_IF_ERROR(client.Run("DROP PUBLICATION IF EXISTS " + row.at(0).value_or("")));
  }
  return Status::Ok();
}

/// Redis has no lock that ends with a connection: the connection's name is one. Of two that
/// come at once each sees the other, and both give way.
Status HoldRedis(RedisClient& client, int database) {
  const std::string name = fmt::format("indoubt-run-{}", database);
  INDOUBT_RETURN_IF_ERROR(client.Run({"CLIENT", "SETNAME", name}).status());
  INDOUBT_ASSIGN_OR_RETURN(const auto list, client.Run({"CLIENT", "LIST"}));
  const std::string text(list->str, list->len), field = " name=" + name + " ";
  const size_t first = text.find(field);
  const bool alone = first != std::string::npos && text.find(field, first + 1) == text.npos;
  if (!alone) return Taken("--redis", "one (redis://HOST:PORT/DB)");
  INDOUBT_ASSIGN_OR_RETURN(const auto keys, client.Keys("indoubt:cdc:*:lab_*"));
  for (const std::string& key : keys) {
    INDOUBT_RETURN_IF_ERROR(client.Run({"DEL", key}).status());
  }
  return Status::Ok();
}

}  // namespace

struct GivenServersHold::Connections {
  std::unique_ptr<PostgresClient> postgres;
  std::unique_ptr<RedisClient> redis;
};

GivenServersHold::GivenServersHold() : connections_(std::make_unique<Connections>()) {}
GivenServersHold::~GivenServersHold() = default;

Result<std::unique_ptr<GivenServersHold>> GivenServersHold::Take(const RunOptions& options) {
  std::unique_ptr<GivenServersHold> hold(new GivenServersHold());
  if (options.postgres_dsn) {
    INDOUBT_ASSIGN_OR_RETURN(hold->connections_->postgres,
                             PostgresClient::Connect(*options.postgres_dsn));
    INDOUBT_RETURN_IF_ERROR(HoldPostgres(*hold->connections_->postgres));
  }
  if (options.redis_uri) {
    INDOUBT_ASSIGN_OR_RETURN(const RedisAddress address, ParseRedisUri(*options.redis_uri));
    INDOUBT_ASSIGN_OR_RETURN(hold->connections_->redis,
                             RedisClient::Connect(*options.redis_uri));
    INDOUBT_RETURN_IF_ERROR(HoldRedis(*hold->connections_->redis, address.database));
  }
  return hold;
}

Result<json> IdentifyGivenServers(const RunOptions& options) {
  json servers = json::object();
  if (options.postgres_dsn) {
    INDOUBT_ASSIGN_OR_RETURN(servers["postgres"], IdentifyPostgres(*options.postgres_dsn));
  }
  if (options.redis_uri) {
    INDOUBT_ASSIGN_OR_RETURN(servers["redis"], IdentifyRedis(*options.redis_uri));
  }
  return servers;
}

std::string OtherServer(const json& then, const json& now) {
  if (then.contains("postgres") && now.contains("postgres") &&
      then.at("postgres") != now.at("postgres")) {
    return fmt::format(
        "it ran on another PostgreSQL (then {}, and now {}); give --postgres the "
        "one it began on",
        then.at("postgres").dump(), now.at("postgres").dump());
  }
  if (!then.contains("redis") || !now.contains("redis")) return "";
  const json &before = then.at("redis"), &here = now.at("redis");
  const bool same =
      before.at("address") == here.at("address") || before.at("run_id") == here.at("run_id");
  return same ? ""
              : fmt::format(
                    "it ran on another Redis (then at {}, and now at {}); give --redis "
                    "the one it began on",
                    before.at("address").get<std::string>(),
                    here.at("address").get<std::string>());
}

}  // namespace indoubt
