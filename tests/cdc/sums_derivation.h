// The accumulating derivation of the tests, shared by the fixture and the child.
#pragma once

#include "cdc/worker.h"

namespace indoubt {

inline Derivation SumsDerivation() {
  Derivation sums;
  sums.redis = [](const RowChange& change) -> Result<std::vector<RedisCommand>> {
    if (change.kind != ChangeKind::kInsert) return std::vector<RedisCommand>{};
    return std::vector<RedisCommand>{
        {"HINCRBY", "sums", *change.after->at("item"), *change.after->at("amount")}};
  };
  sums.sqlite = [](const RowChange& change) -> Result<std::vector<SqlStatement>> {
    if (change.kind != ChangeKind::kInsert) return std::vector<SqlStatement>{};
    return std::vector<SqlStatement>{
        {"INSERT INTO sums VALUES (?1, ?2 + 0) ON CONFLICT(item) DO UPDATE SET "
         "amount = amount + excluded.amount",
         {Value{*change.after->at("item")}, Value{*change.after->at("amount")}}}};
  };
  sums.sqlite_setup = "CREATE TABLE IF NOT EXISTS sums(item TEXT PRIMARY KEY, amount INTEGER)";
  return sums;
}

/// Options from the places of a fixture, for the fixture and the child alike.
inline std::vector<ViewOptions> SumsViews(const std::string& redis_uri,
                                          const std::string& sqlite_path,
                                          const Derivation& derivation) {
  return {{"cache", ViewKind::kRedis, redis_uri, derivation},
          {"table", ViewKind::kSqlite, sqlite_path, derivation}};
}

}  // namespace indoubt
