#include "cdc/pg_connection.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace indoubt::cdc_internal {
namespace {

// Rows that a policy hides are missing in a copy, and in what a rebuild is proved by: rather an
// error. A value's text is what a view holds and what a row is found by: it must not depend on
// what the server, the role or the environment of one start of the worker prefers.
constexpr const char* kPinFormats =
    "SELECT set_config('datestyle', 'ISO, YMD', false), set_config('timezone', 'UTC', false), "
    "set_config('intervalstyle', 'postgres', false), "
    "set_config('extra_float_digits', '3', false), set_config('bytea_output', 'hex', false), "
    "set_config('row_security', 'off', false)";

int MillisUntil(TimePoint deadline) {
  const auto left = deadline - SystemClock().Now();
  if (left <= Duration::zero()) return 0;
  // Rounded up, so that the wait does not spin through its last millisecond.
  return static_cast<int>(
      std::min<int64_t>(left / std::chrono::milliseconds(1) + 1, 3'600'000));
}

std::string OneLine(const char* message) {
  std::string text = message ? message : "";
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

StatusCode CodeOf(const char* sqlstate) {
  const std::string_view state = sqlstate ? sqlstate : "";
  if (state == "42704" || state == "42P01" || state == "3D000") return StatusCode::kNotFound;
  if (state == "55006" || state == "55P03") return StatusCode::kLocked;
  if (state == "42501" || state == "55000" || state == "53400" || state == "0A000") {
    return StatusCode::kRefused;
  }
  if (state == "58P01") return StatusCode::kCorrupt;  // needed WAL was removed
  if (state.starts_with("57") || state.starts_with("08") || state.starts_with("53")) {
    return StatusCode::kUnavailable;
  }
  return StatusCode::kInternal;
}

}  // namespace

StopSignal::StopSignal() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  INDOUBT_CHECK(fd_ >= 0, "eventfd");
}

StopSignal::~StopSignal() { close(fd_); }

void StopSignal::Set() {
  set_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  INDOUBT_CHECK(write(fd_, &one, sizeof one) == sizeof one || errno == EAGAIN, "eventfd write");
}

void StopSignal::SleepUntil(TimePoint deadline) const {
  pollfd waited{fd_, POLLIN, 0};
  while (!is_set() && SystemClock().Now() < deadline) poll(&waited, 1, MillisUntil(deadline));
}

Result<uint32_t> ParseCatalogNumber(const std::optional<std::string>& text) {
  const std::string digits = text.value_or("");
  uint32_t number = 0;
  const char* end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, number);
  if (error == std::errc() && at == end) return number;
  return Status(StatusCode::kInternal,
                "cdc source: the server sent no number where one belongs");
}

Result<std::unique_ptr<PgConnection>> PgConnection::Connect(const std::string& dsn,
                                                            bool replication,
                                                            const StopSignal& stop,
                                                            TimePoint deadline) {
  auto where = pg::ConnectionString::Parse(dsn);
  if (!where.has_value()) return where.error().WithContext("cdc source");
  // libpq expands the DSN; what comes after it wins.
  std::vector<const char*> names{"dbname", "fallback_application_name", "client_encoding"};
  std::vector<const char*> values{dsn.c_str(), "indoubt-cdc", "UTF8"};
  if (replication) {
    names.push_back("replication");
    values.push_back("database");
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  std::unique_ptr<PgConnection> made(new PgConnection(
      PQconnectStartParams(names.data(), values.data(), 1), std::move(*where), stop));
  PGconn* connection = made->connection_.get();
  if (PQstatus(connection) == CONNECTION_BAD) return made->Lost("connecting");
  PostgresPollingStatusType want = PGRES_POLLING_WRITING;
  while (want != PGRES_POLLING_OK) {
    if (want == PGRES_POLLING_FAILED) return made->Lost("connecting");
    INDOUBT_RETURN_IF_ERROR(made->WaitSocket(want == PGRES_POLLING_WRITING, deadline));
    want = PQconnectPoll(connection);
  }
  PQsetnonblocking(connection, 1);
  INDOUBT_RETURN_IF_ERROR(made->Query(kPinFormats, deadline).status());
  return made;
}

Status PgConnection::Lost(std::string_view doing) const {
  return Status(StatusCode::kUnavailable,
                fmt::format("cdc source: {}: {}", doing,
                            where_.WithoutSecrets(PQerrorMessage(connection_.get()))));
}

Status PgConnection::ResultError(const PGresult* result, std::string_view doing) const {
  if (PQstatus(connection_.get()) == CONNECTION_BAD) return Lost(doing);
  return Status(CodeOf(PQresultErrorField(result, PG_DIAG_SQLSTATE)),
                fmt::format("cdc source: {}: {}", doing.substr(0, 120),
                            OneLine(PQresultErrorMessage(result))));
}

Status PgConnection::WaitSocket(bool for_write, TimePoint deadline, int wake) {
  const short want = static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN);
  pollfd waited[3] = {{PQsocket(connection_.get()), want, 0},
                      {stop_.fd(), POLLIN, 0},
                      {wake, POLLIN, 0}};  // poll leaves a negative one out
  for (;;) {
    const int ready = poll(waited, 3, MillisUntil(deadline));
    if (ready < 0 && errno != EINTR) {
      return Status(StatusCode::kIoError, fmt::format("poll: {}", std::strerror(errno)));
    }
    if (stop_.is_set()) return Status(StatusCode::kAborted, "the CDC worker is stopping");
    if (ready > 0 && waited[0].revents != 0) return Status::Ok();
    if (ready > 0 || SystemClock().Now() >= deadline) {
      return Status(StatusCode::kDeadlineExceeded, "cdc source: no answer in time");
    }
  }
}

Status PgConnection::Send(const std::string& sql, TimePoint deadline) {
  if (PQsendQuery(connection_.get(), sql.c_str()) != 1) return Lost(sql);
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left < 0) return Lost(sql);
    if (left == 0) break;
    INDOUBT_RETURN_IF_ERROR(WaitSocket(true, deadline));
  }
  while (PQisBusy(connection_.get()) != 0) {
    INDOUBT_RETURN_IF_ERROR(WaitSocket(false, deadline).WithContext(sql.substr(0, 60)));
    if (PQconsumeInput(connection_.get()) != 1) return Lost(sql);
  }
  return Status::Ok();
}

Result<PgRows> PgConnection::Query(const std::string& sql, TimePoint deadline) {
  INDOUBT_RETURN_IF_ERROR(Send(sql, deadline));
  PgRows rows;
  Status failed;
  for (;;) {
    while (PQisBusy(connection_.get()) != 0) {
      INDOUBT_RETURN_IF_ERROR(WaitSocket(false, deadline));
      if (PQconsumeInput(connection_.get()) != 1) return Lost(sql);
    }
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQgetResult(connection_.get()),
                                                                PQclear);
    if (!result) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      if (failed.ok()) failed = ResultError(result.get(), sql);
      if (PQstatus(connection_.get()) == CONNECTION_BAD) break;
      continue;
    }
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      std::vector<std::optional<std::string>>& fields = rows.emplace_back();
      for (int column = 0; column < PQnfields(result.get()); ++column) {
        if (PQgetisnull(result.get(), row, column) != 0) {
          fields.emplace_back();
        } else {
          fields.emplace_back(
              std::string(PQgetvalue(result.get(), row, column),
                          static_cast<size_t>(PQgetlength(result.get(), row, column))));
        }
      }
    }
  }
  if (!failed.ok()) return failed;
  return rows;
}

Status PgConnection::StartCopy(const std::string& sql, TimePoint deadline) {
  INDOUBT_RETURN_IF_ERROR(Send(sql, deadline));
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQgetResult(connection_.get()),
                                                              PQclear);
  if (PQresultStatus(result.get()) == PGRES_COPY_BOTH) return Status::Ok();
  return ResultError(result.get(), sql);
}

Result<std::optional<std::string_view>> PgConnection::ReadCopy(TimePoint deadline, int wake) {
  for (;;) {
    char* raw = nullptr;
    const int length = PQgetCopyData(connection_.get(), &raw, 1);
    copied_.reset(raw);
    if (length > 0) return std::optional(std::string_view(raw, static_cast<size_t>(length)));
    if (length == -2) return Lost("streaming");
    if (length == -1) {
      const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
          PQgetResult(connection_.get()), PQclear);
      if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
        return ResultError(result.get(), "streaming");
      }
      return Status(StatusCode::kUnavailable, "cdc source: the server ended the stream");
    }
    if (stop_.is_set()) return Status(StatusCode::kAborted, "the CDC worker is stopping");
    const Status waited = WaitSocket(false, deadline, wake);
    if (waited.code() == StatusCode::kDeadlineExceeded)
      return std::optional<std::string_view>();
    INDOUBT_RETURN_IF_ERROR(waited);
    if (PQconsumeInput(connection_.get()) != 1) return Lost("streaming");
  }
}

Status PgConnection::WriteCopy(std::string_view bytes, TimePoint deadline) {
  const int size = static_cast<int>(bytes.size());
  if (PQputCopyData(connection_.get(), bytes.data(), size) != 1) return Lost("confirming");
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left < 0) return Lost("confirming");
    if (left == 0) return Status::Ok();
    INDOUBT_RETURN_IF_ERROR(WaitSocket(true, deadline));
    if (PQconsumeInput(connection_.get()) != 1) return Lost("confirming");
  }
}

std::string PgConnection::Literal(const std::string& text) const {
  char* raw = PQescapeLiteral(connection_.get(), text.data(), text.size());
  const std::unique_ptr<char, void (*)(void*)> owned(raw, PQfreemem);
  return raw ? raw : "''";
}

std::string PgConnection::Identifier(const std::string& text) const {
  char* raw = PQescapeIdentifier(connection_.get(), text.data(), text.size());
  const std::unique_ptr<char, void (*)(void*)> owned(raw, PQfreemem);
  return raw ? raw : "\"\"";
}

}  // namespace indoubt::cdc_internal
