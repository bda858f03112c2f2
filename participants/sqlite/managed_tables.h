// What the adapter knows of the tables that transactions may change: their keys,
// which of them refer to each other, and the triggers that guard them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "participants/sqlite/sqlite_database.h"

namespace indoubt {

/// A set of columns by which another writer could collide with a row.
struct LockKey {
  std::string table;         // whose key it is: the parent's, for a reference
  std::string index;         // "pk", or the columns: "email", "a,b"
  std::vector<int> columns;  // of the table that the key is taken from
  bool reference = false;    // a foreign key: taken in mode "s"
};

struct ManagedTable {
  std::string name;
  std::vector<std::string> columns;  // in the table's order
  std::vector<int> primary_key;      // in the key's order
  std::vector<LockKey> keys;         // primary key first
  /// Columns of the primary key that may hold NULL: such a row is never captured.
  std::vector<int> nullable_key;
  std::string fingerprint;  // changes with the table's schema
};

/// By name. Problems, each with its remedy, go to `problems`; such a table is left out.
Result<std::map<std::string, ManagedTable>> InspectTables(SqliteDatabase& database,
                                                          const std::vector<std::string>& names,
                                                          std::vector<std::string>& problems);

/// Makes our tables and the guard triggers, or brings them up to date, in one
/// transaction; writes nothing when all is in place.
Status InstallGuards(SqliteDatabase& database,
                     const std::map<std::string, ManagedTable>& tables);

/// An identifier in quotes.
std::string QuoteName(const std::string& name);

}  // namespace indoubt
