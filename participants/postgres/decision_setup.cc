#include "participants/postgres/decision_setup.h"

#include <fmt/format.h>

#include "base/gid.h"
#include "base/text.h"
#include "participants/postgres/sql_text.h"

namespace indoubt::pg {
namespace {

// Two coordinators that start at once make it one after the other. The number is
// arbitrary.
constexpr const char* kOneAtATime = "SELECT pg_catalog.pg_advisory_xact_lock(4985161702)";

constexpr const char* kMakeTables =
    "CREATE TABLE IF NOT EXISTS indoubt.home (id text NOT NULL);"
    "CREATE TABLE IF NOT EXISTS indoubt.decisions ("
    "gid text COLLATE \"C\" PRIMARY KEY, "
    "decision text NOT NULL CHECK (decision IN ('commit', 'abort')), "
    "branches text NOT NULL, "
    "decided_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());"
    "CREATE INDEX IF NOT EXISTS decisions_aborts ON indoubt.decisions (gid) "
    "WHERE decision = 'abort';"
    "CREATE TABLE IF NOT EXISTS indoubt.floors (log text COLLATE \"C\" PRIMARY KEY, "
    "incarnation bigint NOT NULL, number bigint NOT NULL, raised_by xid8 NOT NULL);"
    "COMMENT ON SCHEMA indoubt IS "
    "'Decisions of indoubt: this database is a logged last resource. Dropping or changing "
    "it loses the outcome of transactions in doubt.'";

/// Tables that are there, whether all survive a crash, and are the role's to use.
constexpr const char* kLookAtTables =
    "SELECT count(*), coalesce(bool_and(c.relpersistence = 'p'), true), "
    "coalesce(bool_and(has_table_privilege(c.oid, 'SELECT') AND "
    "has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND "
    "has_table_privilege(c.oid, 'DELETE')), true) "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'indoubt' AND c.relkind = 'r' "
    "AND c.relname IN ('home', 'decisions', 'floors')";

constexpr int kTables = 3;

void Make(pqxx::work& work) {
  work.exec(kOneAtATime);
  const bool schema =
      work.exec1("SELECT pg_catalog.to_regnamespace('indoubt') IS NOT NULL")[0].as<bool>();
  if (!schema) work.exec("CREATE SCHEMA indoubt");
  work.exec(kMakeTables);
  work.exec(
      fmt::format("INSERT INTO indoubt.home SELECT '{}' WHERE NOT EXISTS "
                  "(SELECT FROM indoubt.home)",
                  RandomHome()));
}

std::string Remedy(pqxx::work& work) {
  const auto role = work.exec1("SELECT current_user::text")[0].as<std::string>();
  return fmt::format("as the database's owner: CREATE SCHEMA indoubt AUTHORIZATION {}", role);
}

}  // namespace

std::string PrepareDecisionTable(pqxx::connection& connection, PreflightReport& report) {
  std::string remedy;
  try {
    pqxx::work work(connection);
    remedy = Remedy(work);
    if (work.exec1(kLookAtTables)[0].as<int>() < kTables) {
      Make(work);
      report.notes.emplace_back("made the decision table of a last resource (schema indoubt)");
    }
    const pqxx::row tables = work.exec1(kLookAtTables);
    if (!tables[1].as<bool>()) {
      report.problems.emplace_back(
          "a table of schema indoubt is UNLOGGED, so decisions would not survive a crash; "
          "ALTER TABLE it SET LOGGED");
    }
    if (!tables[2].as<bool>()) {
      report.problems.push_back(
          "the role may not read and write all tables of schema indoubt; GRANT it, or " +
          remedy);
    }
    if (!report.problems.empty()) return "";
    const pqxx::result home = work.exec("SELECT id FROM indoubt.home");
    work.commit();
    if (home.size() == 1 && IsValidHome(home[0][0].as<std::string>())) {
      return home[0][0].as<std::string>();
    }
    report.problems.emplace_back(
        "indoubt.home does not hold the one identity of the decision table; restore it from a "
        "backup, or, if no transaction is in doubt, DROP SCHEMA indoubt CASCADE");
  } catch (const pqxx::broken_connection&) {
    throw;
  } catch (const pqxx::sql_error& error) {
    report.problems.push_back(
        fmt::format("the decision table of a last resource cannot be made or read: {}; {}",
                    OneLine(error.what()), remedy));
  }
  return "";
}

}  // namespace indoubt::pg
