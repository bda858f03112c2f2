// The accumulating derivation of the tests, shared by the fixture and the child. An
// upsert would hide a change that is applied twice; a sum and a count do not.
#pragma once

#include "cdc/worker.h"

namespace indoubt {

/// Per item of table moves: the sum of the inserted rows' amounts and their number. Refuses
/// rows of the item `poison`, if any.
inline Derivation SumsDerivation(const std::string& poison = "") {
  Derivation sums;
  sums.needs = std::map<std::string, std::set<std::string>>{{"moves", {"item", "amount"}}};
  const auto counts = [](const RowChange& change) {
    return change.relation->name == "moves" && change.kind == ChangeKind::kInsert;
  };
  sums.redis = [counts, poison](const RowChange& change) -> Result<std::vector<RedisCommand>> {
    if (!counts(change)) return std::vector<RedisCommand>{};
    const std::string& item = *change.after->at("item");
    if (item == poison) return Status(StatusCode::kInvalidArgument, "cannot digest " + item);
    return std::vector<RedisCommand>{{"HINCRBY", "sums", item, *change.after->at("amount")},
                                     {"HINCRBY", "counts", item, "1"}};
  };
  sums.redis_keys = [](const std::vector<std::string>&) {
    return std::vector<std::string>{"sums", "counts"};
  };
  sums.sqlite = [counts, poison](const RowChange& change) -> Result<std::vector<SqlStatement>> {
    if (!counts(change)) return std::vector<SqlStatement>{};
    const std::string& item = *change.after->at("item");
    if (item == poison) return Status(StatusCode::kInvalidArgument, "cannot digest " + item);
    return std::vector<SqlStatement>{
        {"INSERT INTO sums VALUES (?1, ?2 + 0, 1) ON CONFLICT(item) DO UPDATE SET "
         "amount = amount + excluded.amount, changes = changes + 1",
         {Value{item}, Value{*change.after->at("amount")}}}};
  };
  sums.sqlite_setup =
      "CREATE TABLE IF NOT EXISTS sums(item TEXT PRIMARY KEY, amount INTEGER, changes INTEGER)";
  return sums;
}

/// Options from the places of a fixture, for the fixture and the child alike.
inline std::vector<ViewOptions> SumsViews(const std::string& redis_uri,
                                          const std::string& sqlite_path,
                                          const Derivation& derivation) {
  return {{"cache", ViewKind::kRedis, redis_uri, derivation},
          {"table", ViewKind::kSqlite, sqlite_path, derivation}};
}

/// The file of the search view beside the SQLite view of rows at `sqlite_path`.
inline std::string SearchPath(const std::string& sqlite_path) {
  return sqlite_path + ".search";
}

/// Beside them, views of the rows as they are, which want files of their own.
inline std::vector<ViewOptions> RowsViews(const std::string& redis_uri,
                                          const std::string& sqlite_path) {
  const Derivation rows = FindDerivation("rows").value_or(Derivation{});
  return {{"rows_cache", ViewKind::kRedis, redis_uri, rows},
          {"rows_table", ViewKind::kSqlite, sqlite_path, rows},
          {"rows_search", ViewKind::kSearch, SearchPath(sqlite_path), rows}};
}

}  // namespace indoubt
