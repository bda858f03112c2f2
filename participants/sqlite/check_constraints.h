// What a table's CHECK constraints ask of the connection instead of the row.
#pragma once

#include <string>
#include <string_view>

namespace indoubt::sqlite {

/// The first function in a CHECK of this CREATE TABLE whose answer depends on the
/// connection's past or on chance: last_insert_rowid, changes, total_changes, random,
/// randomblob. Empty when there is none. (SQLite itself refuses the present time there;
/// in a DEFAULT they do no harm, for the value is captured.)
std::string UnrepeatableCheck(std::string_view create_table);

}  // namespace indoubt::sqlite
