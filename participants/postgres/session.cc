#include "participants/postgres/session.h"

#include <fmt/format.h>

namespace indoubt::pg {
namespace {

std::string TextAt(const std::vector<Value>& row, size_t column) {
  const auto* text =
      column < row.size() ? std::get_if<std::string>(&row[column].held) : nullptr;
  return text == nullptr ? "" : *text;
}

constexpr size_t kCheckIntervalColumn = 8;  // of SessionQuery

/// Three columns that take the server's timeouts out of the session.
std::string OurLimits() {
  return fmt::format(
      "pg_catalog.set_config('statement_timeout', '0', false), "
      "pg_catalog.set_config('lock_timeout', '{}', false), "
      "pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false)",
      kSessionLockLimit / std::chrono::milliseconds(1));
}

}  // namespace

std::string SessionQuery() {
  // client_connection_check_interval (PostgreSQL 14 on Linux) makes a backend that waits for
  // a lock notice that its client is gone, instead of preparing when nobody listens any
  // more.
  return fmt::format(
      "SELECT current_setting('fsync'), current_setting('synchronous_commit'), "
      "current_setting('max_prepared_transactions'), pg_is_in_recovery(), "
      "current_setting('server_version_num')::int, {}, "
      "(SELECT set_config(name, '1000', false) FROM pg_settings "
      "WHERE name = 'client_connection_check_interval')",
      OurLimits());
}

bool ChecksConnection(const StatementResult& looked) {
  const auto* row = looked.values.empty()
                        ? nullptr
                        : std::get_if<std::vector<Value>>(&looked.values.front().held);
  return row != nullptr && !TextAt(*row, kCheckIntervalColumn).empty();
}

std::vector<Command> CleaningCommands(const Cleaning& cleaning) {
  // RESET ALL leaves out whom the session belongs to. NULL is what it began with.
  std::string rest =
      "SELECT pg_catalog.set_config('session_authorization', NULL, false), "
      "pg_catalog.set_config('role', NULL, false), pg_catalog.pg_advisory_unlock_all(), " +
      OurLimits();
  if (cleaning.checks_connection) {
    rest += ", pg_catalog.set_config('client_connection_check_interval', '1000', false)";
  }
  std::vector<Command> commands;
  const auto add = [&commands](std::string text) {
    commands.push_back({.text = std::move(text), .keep = true});
  };
  add("RESET ALL");
  add(std::move(rest));
  if (cleaning.committed) {
    add("CLOSE ALL");
    add("UNLISTEN *");
    add("DISCARD TEMP");
  }
  add("DISCARD SEQUENCES");
  if (cleaning.look_for_statements) {  // last: WhyNotClean
    add("SELECT name FROM pg_catalog.pg_prepared_statements WHERE from_sql LIMIT 1");
  }
  return commands;
}

std::string WhyNotClean(const ScriptReply& reply) {
  if (reply.lost || reply.replies.empty()) return "connection lost: " + reply.lost_reason;
  for (const Reply& each : reply.replies) {
    if (each.kind != Reply::Kind::kDone) return "it could not be cleaned: " + each.message;
  }
  return reply.replies.back().result.values.empty() ? ""
                                                    : "a branch has prepared statements in it";
}

std::vector<std::string> SettingProblems(const std::string& fsync,
                                         const std::string& synchronous_commit,
                                         const std::string& max_prepared_transactions,
                                         bool in_recovery, int64_t version_number) {
  std::vector<std::string> problems;
  if (max_prepared_transactions == "0") {
    problems.push_back(
        "max_prepared_transactions is 0, so nothing can be prepared; set it to at least the "
        "number of transactions in flight and restart the server");
  }
  if (fsync != "on") {
    problems.push_back(fmt::format(
        "fsync is {}, so a yes vote would not survive a crash; set fsync = on and reload",
        fsync));
  }
  if (synchronous_commit == "off") {
    problems.push_back(
        "synchronous_commit is off, so a commit would not survive a crash; set it to on for "
        "this role, database or server");
  }
  if (in_recovery) {
    problems.push_back(
        "the server is a hot standby (pg_is_in_recovery), which cannot write; connect to the "
        "primary (target_session_attrs=read-write in the dsn)");
  }
  if (version_number < 130000) {
    problems.push_back(
        fmt::format("server_version_num is {}; PostgreSQL 13 or newer is needed "
                    "for pg_xact_status on xid8; upgrade",
                    version_number));
  }
  return problems;
}

std::string SessionProblem(const StatementResult& result, bool prepares) {
  const auto* row = result.values.size() == 1
                        ? std::get_if<std::vector<Value>>(&result.values.front().held)
                        : nullptr;
  const bool* in_recovery =
      row != nullptr && row->size() > 4 ? std::get_if<bool>(&(*row)[3].held) : nullptr;
  const int64_t* version =
      in_recovery != nullptr ? std::get_if<int64_t>(&(*row)[4].held) : nullptr;
  if (version == nullptr) return "the server gave no answer to a look at its settings";
  std::string all;
  const std::string max_prepared = prepares ? TextAt(*row, 2) : "";
  for (const std::string& problem : SettingProblems(TextAt(*row, 0), TextAt(*row, 1),
                                                    max_prepared, *in_recovery, *version)) {
    all += (all.empty() ? "" : "; ") + problem;
  }
  return all;
}

}  // namespace indoubt::pg
