// The tables and triggers that the participant keeps in a managed file, and their
// installation. The triggers hold every writer off from locked rows, whoever it is.
#pragma once

#include "participants/sqlite/table_model.h"

namespace indoubt::sqlite {

struct SchemaObject {
  std::string type, name, sql;  // as sqlite_master has them
};

/// The guards of one table. They run AFTER: a BEFORE trigger does not see an
/// automatic rowid. Every key's old and new values are looked up, so a row that
/// REPLACE deletes without firing triggers is seen by the value it gave up.
std::vector<SchemaObject> GuardTriggers(const DatabaseModel& model, const TableModel& table);

/// Everything of ours that a file with these tables holds.
std::vector<SchemaObject> WantedSchema(const DatabaseModel& model);

/// Makes the file's tables and triggers what this version needs, in the open write
/// transaction; writes only what differs, and names it in `written`. kRefused when tables
/// of another version still hold branches.
Status InstallSchema(Connection& connection, const DatabaseModel& model,
                     std::vector<std::string>* written = nullptr);

/// kUnavailable, naming the file, when it has neither tables of ours nor any of `managed`:
/// then it never was this participant's, and what it does not hold says nothing.
Status RequireKnownFile(Connection& connection, const std::vector<std::string>& managed);

/// Loads the model and installs in one transaction of its own. kRefused also for a CHECK
/// that cannot be repeated.
Result<DatabaseModel> LoadAndInstall(Connection& connection,
                                     const std::vector<std::string>& managed);

}  // namespace indoubt::sqlite
