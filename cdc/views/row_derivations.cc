#include "cdc/views/row_derivations.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {
namespace {

void AppendEscaped(std::string& to, std::string_view text) {
  for (const char c : text) {
    if (c == ':') {
      to += "%3A";
    } else if (c == '%') {
      to += "%25";
    } else {
      to += c;
    }
  }
}

// "<table>:<key>" of the row; parts of the key are joined with ":", a ":" or "%" inside of
// one, or of the table's name, is escaped, and NULL is "%00", which no text is: no two rows
// share a name.
std::string RedisKey(const SourceRelation& relation, const RowImage& image) {
  std::string key;
  AppendEscaped(key, relation.name);
  for (const SourceColumn& column : relation.columns) {
    if (!column.key) continue;
    key += ':';
    const auto value = image.find(column.name);
    if (value == image.end()) continue;
    if (!value->second) {
      key += "%00";
      continue;
    }
    AppendEscaped(key, *value->second);
  }
  return key;
}

bool IsWhole(const SourceRelation& relation, const RowImage& image) {
  return image.size() == relation.columns.size();
}

Result<std::vector<RedisCommand>> RedisRows(const RowChange& change) {
  std::vector<RedisCommand> commands;
  if (change.kind == ChangeKind::kTruncate) {
    return Status(StatusCode::kUnsupported,
                  fmt::format("table {} was truncated, which a Redis view of rows cannot "
                              "follow; rebuild the view, and DELETE instead",
                              change.relation->name));
  }
  const std::string old_key =
      RedisKey(*change.relation, change.before ? *change.before : *change.after);
  if (change.kind == ChangeKind::kDelete) {
    commands.push_back({"DEL", old_key});
    return commands;
  }
  const std::string key = RedisKey(*change.relation, *change.after);
  if (IsWhole(*change.relation, *change.after)) {
    commands.push_back({"DEL", old_key});
  } else if (key != old_key) {
    commands.push_back({"RENAME", old_key, key});  // keeps what the change did not carry
  }
  RedisCommand set{"HSET", key};
  RedisCommand unset{"HDEL", key};
  for (const auto& [column, value] : *change.after) {
    if (value) {
      set.push_back(column);
      set.push_back(*value);
    } else {
      unset.push_back(column);
    }
  }
  if (unset.size() > 2) commands.push_back(std::move(unset));
  if (set.size() > 2) commands.push_back(std::move(set));
  return commands;
}

// "<table>:*", with what a pattern would take for its own escaped.
std::vector<std::string> RedisKeysOf(const std::vector<std::string>& tables) {
  std::vector<std::string> patterns;
  for (const std::string& table : tables) {
    std::string name, pattern;
    AppendEscaped(name, table);
    for (const char c : name) {
      if (std::string_view("*?[]^\\-").find(c) != std::string_view::npos) pattern += '\\';
      pattern += c;
    }
    patterns.push_back(pattern + ":*");
  }
  return patterns;
}

bool IsFloat(uint32_t oid) { return oid == 700 || oid == 701; }  // float4, float8

// SQLite's type for PostgreSQL's. What SQLite cannot hold exactly stays text.
const char* SqliteType(uint32_t oid) {
  switch (oid) {
    case 20:
    case 21:
    case 23:
    case 26:
      return "INTEGER";  // int8, int2, int4, oid
    default:
      return IsFloat(oid) ? "REAL" : "TEXT";
  }
}

// text, varchar, char, name. Not what is text only because SQLite cannot hold it exactly.
bool HoldsWords(uint32_t oid) { return oid == 25 || oid == 1043 || oid == 1042 || oid == 19; }

Value ToValue(const SourceColumn& column, const std::optional<std::string>& text) {
  if (!text) return Value{std::monostate{}};
  if (const auto number = ExactDouble(*text, column.type_oid)) return Value{*number};
  return Value{*text};
}

SqlTable TableOf(const SourceRelation& relation) {
  SqlTable table{relation.name, {}};
  for (const SourceColumn& column : relation.columns) {
    table.columns.push_back(
        {column.name, SqliteType(column.type_oid), column.key, HoldsWords(column.type_oid)});
  }
  return table;
}

// Adds "a = ?n" for each column of `image` (only keys, if asked) and its value.
std::vector<std::string> Assign(const SourceRelation& relation, const RowImage& image,
                                bool keys_only, std::string_view comparison,
                                std::vector<Value>& params) {
  std::vector<std::string> terms;
  for (const SourceColumn& column : relation.columns) {
    const auto value = image.find(column.name);
    if (value == image.end() || (keys_only && !column.key)) continue;
    params.push_back(ToValue(column, value->second));
    terms.push_back(
        fmt::format("{} {} ?{}", QuotedName(column.name), comparison, params.size()));
  }
  return terms;
}

SqlStatement DeleteRow(const SourceRelation& relation, const RowImage& image) {
  SqlStatement statement;
  const auto where = Assign(relation, image, true, "IS", statement.params);
  statement.text = fmt::format("DELETE FROM {} WHERE {}", QuotedName(relation.name),
                               fmt::join(where, " AND "));
  return statement;
}

SqlStatement UpdateRow(const SourceRelation& relation, const RowImage& key,
                       const RowImage& after) {
  SqlStatement statement;
  const auto set = Assign(relation, after, false, "=", statement.params);
  const auto where = Assign(relation, key, true, "IS", statement.params);
  statement.text = fmt::format("UPDATE {} SET {} WHERE {}", QuotedName(relation.name),
                               fmt::join(set, ", "), fmt::join(where, " AND "));
  return statement;
}

SqlStatement PutRow(const SourceRelation& relation, const RowImage& after) {
  SqlStatement statement;
  std::vector<std::string> names;
  std::vector<std::string> places;
  for (const SourceColumn& column : relation.columns) {
    names.push_back(QuotedName(column.name));
    statement.params.push_back(ToValue(column, after.at(column.name)));
    places.push_back(fmt::format("?{}", statement.params.size()));
  }
  statement.text =
      fmt::format("INSERT OR REPLACE INTO {} ({}) VALUES ({})", QuotedName(relation.name),
                  fmt::join(names, ", "), fmt::join(places, ", "));
  return statement;
}

Result<std::vector<SqlStatement>> SqliteRows(const RowChange& change) {
  const SourceRelation& relation = *change.relation;
  std::vector<SqlStatement> statements;
  if (change.kind == ChangeKind::kTruncate) {
    statements.push_back({"DELETE FROM " + QuotedName(relation.name), {}});
  } else if (change.kind == ChangeKind::kDelete) {
    statements.push_back(DeleteRow(relation, *change.before));
  } else if (!IsWhole(relation, *change.after)) {
    statements.push_back(
        UpdateRow(relation, change.before ? *change.before : *change.after, *change.after));
  } else {
    if (change.before) statements.push_back(DeleteRow(relation, *change.before));
    statements.push_back(PutRow(relation, *change.after));
  }
  return statements;
}

}  // namespace

std::optional<double> ExactDouble(std::string_view text, uint32_t type_oid) {
  if (!IsFloat(type_oid)) return std::nullopt;
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || at != end || !std::isfinite(number)) return std::nullopt;
  return number;
}

Derivation RowsDerivation() {
  Derivation rows;
  rows.redis = RedisRows;
  rows.redis_keys = RedisKeysOf;
  rows.sqlite = SqliteRows;
  rows.sqlite_table = TableOf;
  rows.sqlite_mirrors = true;
  rows.upserts = true;
  return rows;
}

}  // namespace indoubt::cdc_internal
