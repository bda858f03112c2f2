#include "participants/postgres/preflight.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <pqxx/pqxx>
#include <sys/socket.h>

#include "base/gid.h"
#include "participants/postgres/decision_setup.h"
#include "participants/postgres/session.h"

namespace indoubt::pg {
namespace {

/// libpqxx waits for replies without bound. At the deadline this cuts the socket, and
/// the waiting call fails as if the server had gone.
class Watchdog {
 public:
  Watchdog(int fd, TimePoint deadline)
      : thread_([this, fd, deadline] {
          std::unique_lock lock(mutex_);
          if (!ended_.wait_until(lock, deadline, [this] { return done_; })) {
            shutdown(fd, SHUT_RDWR);
            fired_ = true;
          }
        }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    ended_.notify_one();
    thread_.join();
  }
  bool fired() {
    const std::lock_guard lock(mutex_);
    return fired_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;   // guarded by mutex_
  bool fired_ = false;  // guarded by mutex_
  std::thread thread_;
};

std::string ConnectString(const ConnectionString& where, TimePoint deadline) {
  // PQconnectdb expands no nested string, so the bound goes in the string's own form.
  const auto left = std::chrono::ceil<std::chrono::seconds>(deadline - SystemClock().Now());
  const int64_t seconds = std::clamp<int64_t>(left.count(), 2, 60);  // libpq takes 2 at least
  const bool uri =
      where.dsn().find("://") != std::string::npos && where.dsn().rfind("postgres", 0) == 0;
  if (!uri) return fmt::format("{} connect_timeout={}", where.dsn(), seconds);
  const char separator = where.dsn().find('?') == std::string::npos ? '?' : '&';
  return fmt::format("{}{}connect_timeout={}", where.dsn(), separator, seconds);
}

constexpr const char* kSettingsQuery =
    "SELECT current_setting('fsync'), current_setting('synchronous_commit'), "
    "current_setting('max_prepared_transactions'), pg_is_in_recovery(), "
    "current_setting('server_version_num')::int, current_setting('server_version'), "
    "current_setting('full_page_writes'), current_setting('default_transaction_read_only'), "
    "current_setting('max_connections')::int, "
    "current_setting('synchronous_standby_names'), "
    "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user), current_user::text";

constexpr const char* kOthersQuery =
    "SELECT owner::text, count(*) FROM pg_prepared_xacts WHERE database = current_database() "
    "AND owner <> current_user AND starts_with(gid, 'idt:') GROUP BY owner ORDER BY owner";

constexpr const char* kOursQuery =
    "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() "
    "AND owner = current_user AND starts_with(gid, 'idt:') ORDER BY gid";

/// Slots for prepared transactions that are taken for longer than a transaction in flight
/// takes one: of the whole cluster, which shares them, and how many of them are indoubt's.
constexpr const char* kSlotsQuery =
    "SELECT count(*), count(*) FILTER (WHERE starts_with(gid, 'idt:')), "
    "current_setting('max_prepared_transactions')::int FROM pg_prepared_xacts "
    "WHERE prepared < clock_timestamp() - interval '1 second'";

/// Whoever made it up by hand or cut it short: recovery cannot know whose it is, and a person
/// who sees its locks would wait for it in vain.
void NoteForeignForm(const std::string& gid, const std::string& quoted,
                     PreflightReport& report) {
  if (BranchId::Parse(gid)) return;
  report.notes.push_back(
      fmt::format("prepared transaction {} begins like a branch of indoubt and is none "
                  "(idt:gid:participant), so recovery leaves it alone and it keeps its locks "
                  "until whoever made it says ROLLBACK PREPARED {} or COMMIT PREPARED",
                  quoted, quoted));
}

void JudgeSlots(const pqxx::row& row, PreflightReport& report) {
  const auto taken = row[0].as<int64_t>(), ours = row[1].as<int64_t>();
  const auto slots = row[2].as<int64_t>();
  if (slots == 0 || taken < slots) return;  // 0 is a problem of its own
  report.problems.push_back(fmt::format(
      "all {} slots of max_prepared_transactions are used up, {} of them by branches of "
      "indoubt, so nothing more can be prepared; settle what is in doubt (indoubt recover; "
      "pg_prepared_xacts shows all), or set max_prepared_transactions to more than {} (ALTER "
      "SYSTEM SET max_prepared_transactions = {}) and restart the server",
      slots, ours, slots, 2 * slots));
}

void JudgeSettings(const pqxx::row& row, int max_connections, bool prepares,
                   PreflightReport& report) {
  const std::string version = row[5].as<std::string>();
  report.version = "PostgreSQL " + version.substr(0, version.find(' '));
  report.problems = SettingProblems(row[0].as<std::string>(), row[1].as<std::string>(),
                                    prepares ? row[2].as<std::string>() : "", row[3].as<bool>(),
                                    row[4].as<int64_t>());
  if (row[7].as<std::string>() == "on") {
    report.problems.emplace_back(
        "default_transaction_read_only is on, so branches cannot write; set it to off for "
        "this role or database");
  }
  if (row[6].as<std::string>() != "on") {
    report.notes.emplace_back(
        "full_page_writes is off: a power cut may tear a page unless the storage writes pages "
        "whole; set it to on where that is not certain");
  }
  if (row[1].as<std::string>() == "local" && !row[9].as<std::string>().empty()) {
    report.warnings.emplace_back(
        "synchronous_commit is local: a fail-over to a standby can lose a yes vote; set it to "
        "on");
  }
  const int server_connections = row[8].as<int>();
  if (server_connections < max_connections) {
    report.warnings.push_back(fmt::format(
        "the server's max_connections is {}, and the pool may open {}; raise the one "
        "or lower the other",
        server_connections, max_connections));
  }
  const int prepared = row[2].as<int>();
  if (prepares && prepared > 0 && prepared < max_connections) {
    report.warnings.push_back(
        fmt::format("max_prepared_transactions is {}: more transactions at once than that vote "
                    "no; raise it to {} at least and restart the server",
                    prepared, max_connections));
  }
  if (row[10].as<bool>()) {
    report.notes.push_back(
        fmt::format("role {} is a superuser; a plain role that owns its tables is enough",
                    row[11].as<std::string>()));
  }
}

/// libpqxx 6 would reconnect behind our back. Its only switch is marked deprecated,
/// for version 7 never reconnects.
void ForbidReconnecting(pqxx::connection& connection) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
}

PreflightReport Ask(pqxx::connection& connection, int max_connections, bool prepares) {
  PreflightReport report;
  pqxx::nontransaction asking(connection);
  JudgeSettings(asking.exec1(kSettingsQuery), max_connections, prepares, report);
  for (const pqxx::row& row : asking.exec(kOthersQuery)) {
    report.warnings.push_back(fmt::format(
        "{} prepared branches of indoubt belong to role {}; connect as that role to list and "
        "settle them",
        row[1].as<int64_t>(), row[0].as<std::string>()));
  }
  for (const pqxx::row& row : asking.exec(kOursQuery)) {
    const auto gid = row[0].as<std::string>();
    NoteForeignForm(gid, asking.quote(gid), report);
  }
  if (prepares) JudgeSlots(asking.exec1(kSlotsQuery), report);
  return report;
}

}  // namespace

Result<PreflightReport> Preflight(const ConnectionString& where, int max_connections,
                                  TimePoint deadline, std::string* home) {
  if (SystemClock().Now() >= deadline) {
    return Status(StatusCode::kUnavailable, "no time left to look at the server");
  }
  try {
    pqxx::connection connection(ConnectString(where, deadline));
    ForbidReconnecting(connection);
    Watchdog watchdog(connection.sock(), deadline);
    try {
      PreflightReport report = Ask(connection, max_connections, home == nullptr);
      if (home != nullptr && report.problems.empty()) {
        *home = PrepareDecisionTable(connection, report);
      }
      return report;
    } catch (const pqxx::failure& error) {
      if (!watchdog.fired()) throw;
      return Status(StatusCode::kUnavailable, "PostgreSQL did not answer in time");
    }
  } catch (const pqxx::broken_connection& error) {
    return Status(StatusCode::kUnavailable,
                  "cannot connect to PostgreSQL: " + where.WithoutSecrets(error.what()));
  } catch (const std::exception& error) {
    return Status(StatusCode::kInternal,
                  "PostgreSQL preflight: " + where.WithoutSecrets(error.what()));
  }
}

}  // namespace indoubt::pg
