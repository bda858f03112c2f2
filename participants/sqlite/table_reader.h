// One table of a file, read from its schema.
#pragma once

#include <string>
#include <string_view>

#include "participants/sqlite/table_model.h"

namespace indoubt::sqlite {

/// Columns, keys, triggers and the statements of a table, without its foreign keys. kRefused
/// when it cannot be managed (`managed`) or guarded.
Result<TableModel> ReadTable(Connection& connection, const std::string& wanted, bool managed);

/// The text or the integer that a schema's row holds; "" and 0 for another.
std::string TextOf(const SqlValue& value);
int64_t IntegerOf(const SqlValue& value);
/// As SQLite compares names.
bool SameName(std::string_view a, std::string_view b);
/// -1: no such column.
int ColumnIndex(const TableModel& table, std::string_view name);
/// kRefused, because of `table`.
Status RefusedTable(const std::string& table, std::string_view why);

}  // namespace indoubt::sqlite
