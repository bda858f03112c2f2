// What the participant knows of the tables in a file: columns, keys, foreign keys.
#pragma once

#include <string>
#include <vector>

#include "participants/sqlite/sqlite_connection.h"

namespace indoubt::sqlite {

struct Column {
  std::string name;
  std::string type;      // as declared
  bool real = false;     // REAL affinity: SQLite may keep 5.0 as the integer 5
  int key_position = 0;  // in the primary key, from 1; 0: not part of it
};

/// The primary key or a UNIQUE index. The lock table knows it by `space`.
struct UniqueKey {
  std::string space;                    // "table(a,b)"
  std::vector<int> columns;             // indexes into TableModel::columns
  std::vector<std::string> collations;  // BINARY, NOCASE or RTRIM, per column
  bool referenced = false;              // a foreign key points here
};

struct ForeignKey {
  std::vector<int> columns;         // of the child
  std::string parent;               // table
  std::vector<int> parent_columns;  // of the parent
};

struct TableModel {
  std::string name;      // as the schema spells it
  bool managed = false;  // transactions may change it; else it is only a relative
  std::vector<Column> columns;
  std::vector<UniqueKey> keys;  // the primary key first
  std::vector<ForeignKey> foreign_keys;
  bool user_triggers = false;
  bool partial_unique = false;     // a UNIQUE index covers only the rows of its WHERE
  std::string unrepeatable_check;  // a function in a CHECK (check_constraints.h), or empty
  std::string fingerprint;         // changes when anything does that an apply depends on

  // By all columns' values: ?1.. are the row; update takes the new row, then the old.
  std::string insert_sql, update_sql, delete_sql;
  std::string select_sql;  // the row by its primary key

  std::vector<int> PrimaryKey() const { return keys.front().columns; }
};

/// The tables of one file that matter here: the managed ones, and those that a
/// foreign key ties to them.
struct DatabaseModel {
  std::vector<TableModel> tables;
  int64_t schema_version = 0;
  /// Triggers or foreign-key actions exist that would act again at apply.
  bool needs_neutral_apply = false;

  const TableModel* Find(std::string_view name) const;
};

/// Reads the schema. kRefused names each table that cannot be managed and why:
/// missing, a view or virtual table, without a primary key, with generated columns,
/// with an own collation or an index on an expression.
Result<DatabaseModel> LoadModel(Connection& connection,
                                const std::vector<std::string>& managed);

/// The SQL expression of a key's lock value. `operands` are the SQL of the values of
/// key.columns, in that order. Two lock values are equal exactly when the index holds the
/// values for equal. With a NULL among them it is NULL (one column) or text with NULL in
/// it (several); the caller leaves such keys out, for a NULL conflicts with nothing.
std::string KeyExpression(const UniqueKey& key, const std::vector<std::string>& operands);

}  // namespace indoubt::sqlite
