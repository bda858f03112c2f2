// How a view is made from the source: a derivation turns one row change into the
// commands (Redis) or statements (SQLite) that keep the view in step. The worker
// applies them exactly once and in the source's commit order, so a derivation may
// accumulate (DECRBY, x = x + 1).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "participants/participant.h"

namespace indoubt {

enum class ChangeKind { kInsert, kUpdate, kDelete, kTruncate };
/// "insert", "update", "delete", "truncate".
const char* ToString(ChangeKind kind);

struct SourceColumn {
  std::string name;
  uint32_t type_oid = 0;  // PostgreSQL's, e.g. 20 for bigint
  bool key = false;       // part of the replica identity, normally the primary key
  friend bool operator==(const SourceColumn&, const SourceColumn&) = default;
};

struct SourceRelation {
  uint32_t oid = 0;
  std::string schema;
  std::string name;
  std::vector<SourceColumn> columns;  // in the table's order
  friend bool operator==(const SourceRelation&, const SourceRelation&) = default;
};

/// Column name to value in PostgreSQL's text format; nullopt is NULL. A column
/// that is missing was not sent: a large value that an update did not touch and
/// that `before` does not have, or, in `before`, a column outside the key.
using RowImage = std::map<std::string, std::optional<std::string>>;

struct RowChange {
  ChangeKind kind = ChangeKind::kInsert;
  /// Never null; lives as long as this change.
  const SourceRelation* relation = nullptr;
  /// kDelete: the old key (the old row with REPLICA IDENTITY FULL). kUpdate: the
  /// same, and only when the key changed or the identity is full.
  std::optional<RowImage> before;
  /// kInsert and kUpdate: the new row.
  std::optional<RowImage> after;
  /// Whether it is a row that existed when the slot was made (kind is kInsert).
  bool snapshot = false;
};

/// One Redis command, its name first: {"DECRBY", "stock:7", "2"}.
using RedisCommand = std::vector<std::string>;

/// One SQLite statement with parameters ?1, ?2, ...
struct SqlStatement {
  std::string text;
  std::vector<Value> params;
};

/// A table of a SQLite view, as a source table's present shape asks for it.
struct SqlTable {
  struct Column {
    std::string name;
    std::string type;
    bool key = false;
    bool words = false;  // text for people: a search view indexes it unless told otherwise
  };
  std::string name;
  std::vector<Column> columns;
};

/// An event for which it fails is parked (docs/cdc.md); the message says what must be done
/// before a retry. Called on the view's thread. Must depend on the change alone.
using RedisDerivation = std::function<Result<std::vector<RedisCommand>>(const RowChange&)>;
using SqliteDerivation = std::function<Result<std::vector<SqlStatement>>(const RowChange&)>;
/// The table that the changes of this source table go to. The view makes it, or adds the
/// columns that it lacks, in the same transaction as the first change of that shape.
using SqliteTable = std::function<SqlTable(const SourceRelation&)>;

/// Source table (its name without schema) to the columns that a view needs of it; a table
/// that is not there is not needed. None: every column of every table.
using NeededColumns = std::optional<std::map<std::string, std::set<std::string>>>;

/// What a name stands for. Either may be empty: not offered for that kind of sink.
struct Derivation {
  /// What must stay in the source for it to go on.
  NeededColumns needs{};
  RedisDerivation redis{};
  SqliteDerivation sqlite{};
  /// Patterns (as of Redis' KEYS) of all keys that it writes, given the source's tables
  /// (names without schema). Empty: a Redis view of it cannot be cleared and derived anew.
  std::function<std::vector<std::string>(const std::vector<std::string>& tables)> redis_keys{};
  /// SQL run on a SQLite sink before its first change; must be repeatable
  /// (CREATE TABLE IF NOT EXISTS).
  std::string sqlite_setup{};
  /// Empty: the tables are those of sqlite_setup, whatever the source's become.
  SqliteTable sqlite_table{};
  /// The SQLite table mirrors the source's, row by row, as "rows" does: a new row that the
  /// change carries whole is then put there without asking `sqlite`, several times faster.
  bool sqlite_mirrors = false;
  /// What it makes of a row depends on the row's last state alone, and not on how often, or
  /// through what, it changed: so it may be derived from a log that is compacted by key. "rows"
  /// does; one that counts or sums does not.
  bool upserts = false;
};

/// Makes `derivation` known under `name`, replacing an earlier one of that name.
/// Thread-safe.
void RegisterDerivation(const std::string& name, Derivation derivation);

/// kInvalidArgument for an unknown name, listing the known ones. "rows" is always
/// there: Redis hash "<table>:<key>" of the columns (":" between the values of a
/// key of several columns; NULL columns are absent), gone when the row is deleted;
/// SQLite table of the same name, columns and key, to which columns are added as the
/// source's table gets them.
Result<Derivation> FindDerivation(const std::string& name);

}  // namespace indoubt
