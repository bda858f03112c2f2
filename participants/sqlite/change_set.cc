#include "participants/sqlite/change_set.h"

#include <cmath>

#include <fmt/format.h>

namespace indoubt::sqlite {
namespace {

std::string Hex(std::string_view bytes) {
  std::string hex = "X'";
  for (char c : bytes) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return hex + "'";
}

std::string Literal(const SqlValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return fmt::format("{}", *number);
  if (const auto* real = std::get_if<double>(&value)) {
    if (std::isinf(*real)) return *real > 0 ? "9e999" : "-9e999";
    std::string text = fmt::format("{:.17g}", *real);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    const bool plain = text->find_first_of(std::string_view("\0\n\r", 3)) == std::string::npos;
    return plain ? QuoteText(*text) : "CAST(" + Hex(*text) + " AS TEXT)";
  }
  if (const auto* blob = std::get_if<Blob>(&value)) return Hex(blob->bytes);
  return "NULL";
}

bool ChangesUniqueValue(const TableModel& table, const RowChange& change) {
  if (table.partial_unique) return true;  // any column may bring the row into the index
  for (size_t i = 1; i < table.keys.size(); ++i) {  // keys[0] is the primary key
    for (int column : table.keys[i].columns) {
      const auto at = static_cast<size_t>(column);
      if ((*change.before)[at] != (*change.after)[at]) return true;
    }
  }
  return false;
}

enum class Phase { kDelete, kUpdate, kInsert };
constexpr Phase kPhases[] = {Phase::kDelete, Phase::kUpdate, Phase::kInsert};

bool TakesPart(const TableModel& table, const RowChange& change, Phase phase) {
  const bool update = change.before && change.after;
  const bool split = update && ChangesUniqueValue(table, change);
  switch (phase) {
    case Phase::kDelete:
      return (change.before && !change.after) || split;
    case Phase::kUpdate:
      return update && !split;
    case Phase::kInsert:
      return (change.after && !change.before) || split;
  }
  return false;
}

std::string Joined(const TableModel& table, const Row& row, const char* separator, bool match) {
  std::string joined;
  for (size_t i = 0; i < row.size(); ++i) {
    joined += fmt::format("{}{}{}{}", i > 0 ? separator : "", QuoteName(table.columns[i].name),
                          match ? " IS " : "=", Literal(row[i]));
  }
  return joined;
}

std::string RedoLine(const TableModel& table, const RowChange& change, Phase phase) {
  const std::string name = QuoteName(table.name);
  switch (phase) {
    case Phase::kDelete:
      return fmt::format("DELETE FROM {} WHERE {};\n", name,
                         Joined(table, *change.before, " AND ", true));
    case Phase::kUpdate:
      return fmt::format("UPDATE {} SET {} WHERE {};\n", name,
                         Joined(table, *change.after, ",", false),
                         Joined(table, *change.before, " AND ", true));
    case Phase::kInsert:
      break;
  }
  std::string names, values;
  for (size_t i = 0; i < change.after->size(); ++i) {
    names += (i > 0 ? "," : "") + QuoteName(table.columns[i].name);
    values += (i > 0 ? "," : "") + Literal((*change.after)[i]);
  }
  return fmt::format("INSERT INTO {}({}) VALUES({});\n", name, names, values);
}

Status ApplyOne(Connection& connection, const TableModel& table, const RowChange& change,
                Phase phase) {
  const std::string& sql = phase == Phase::kDelete   ? table.delete_sql
                           : phase == Phase::kUpdate ? table.update_sql
                                                     : table.insert_sql;
  INDOUBT_ASSIGN_OR_RETURN(PreparedStatement statement, connection.Prepare(sql));
  int index = 1;
  if (phase != Phase::kDelete) {
    for (const SqlValue& value : *change.after) statement.Bind(index++, value);
  }
  if (phase != Phase::kInsert) {
    for (const SqlValue& value : *change.before) statement.Bind(index++, value);
  }
  const int code = sqlite3_step(statement.get());
  if (code != SQLITE_DONE) return connection.Failure(code, sql);
  if (sqlite3_changes(connection.handle()) == 1) return Status::Ok();
  return Status(
      StatusCode::kAborted,
      fmt::format("a row of table {} is not as it was when the work was done", table.name));
}

Result<const TableModel*> TableOf(const DatabaseModel& model, const RowChange& change) {
  const TableModel* table = model.Find(change.table);
  const size_t width = change.before ? change.before->size() : change.after->size();
  if (table == nullptr || table->columns.size() != width || !table->managed) {
    return Status(StatusCode::kAborted,
                  fmt::format("table {} is not the managed table it was", change.table));
  }
  return table;
}

}  // namespace

std::string RedoSql(const DatabaseModel& model, const ChangeSet& changes) {
  std::string sql;
  for (Phase phase : kPhases) {
    for (const RowChange& change : changes) {
      const TableModel* table = model.Find(change.table);
      if (table && TakesPart(*table, change, phase)) sql += RedoLine(*table, change, phase);
    }
  }
  return sql;
}

Status ApplyChanges(Connection& connection, const DatabaseModel& model,
                    const ChangeSet& changes) {
  for (Phase phase : kPhases) {
    for (const RowChange& change : changes) {
      INDOUBT_ASSIGN_OR_RETURN(const TableModel* table, TableOf(model, change));
      if (!TakesPart(*table, change, phase)) continue;
      INDOUBT_RETURN_IF_ERROR(ApplyOne(connection, *table, change, phase));
    }
  }
  return Status::Ok();
}

std::string FingerprintOf(const DatabaseModel& model, const ChangeSet& changes) {
  std::string joined;
  std::string_view last;
  for (const RowChange& change : changes) {
    if (change.table == last) continue;
    last = change.table;
    const TableModel* table = model.Find(change.table);
    joined += table ? table->fingerprint : "gone " + change.table;
    joined += '\n';
  }
  return joined;
}

}  // namespace indoubt::sqlite
