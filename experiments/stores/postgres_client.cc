#include <array>

#include <fmt/format.h>
#include <libpq-fe.h>

#include "experiments/stores/store_clients.h"
#include "participants/postgres/connection_string.h"

namespace indoubt {
namespace {

using PgResult = std::unique_ptr<PGresult, void (*)(PGresult*)>;

/// libpq's lines after the first are advice, begin with a tab, and repeat themselves.
std::string OneLine(const char* message) {
  std::string text = message == nullptr ? "" : message;
  text = text.substr(0, text.find("\n\t"));
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

Status Check(PGconn* connection, const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return Status::Ok();
  const std::string why = OneLine(PQerrorMessage(connection));
  if (PQstatus(connection) != CONNECTION_OK) {
    return Status(StatusCode::kUnavailable, "PostgreSQL: connection lost: " + why);
  }
  return Status(StatusCode::kAborted, "PostgreSQL: " + why);
}

}  // namespace

PostgresClient::PostgresClient(pg_conn* connection)
    : connection_(connection, PQfinish), cancel_(PQgetCancel(connection), PQfreeCancel) {}

Result<std::unique_ptr<PostgresClient>> PostgresClient::Connect(const std::string& dsn,
                                                                std::chrono::seconds timeout) {
  INDOUBT_ASSIGN_OR_RETURN(const pg::ConnectionString where, pg::ConnectionString::Parse(dsn));
  // The DSN is expanded last, so that what it says itself wins.
  const std::string limit = std::to_string(timeout.count());
  const std::array<const char*, 3> names{"connect_timeout", "dbname", nullptr};
  const std::array<const char*, 3> values{limit.c_str(), dsn.c_str(), nullptr};
  std::unique_ptr<PostgresClient> client(
      new PostgresClient(PQconnectdbParams(names.data(), values.data(), /*expand_dbname=*/1)));
  client->dsn_ = dsn;
  if (PQstatus(client->connection_.get()) != CONNECTION_OK) {
    return Status(
        StatusCode::kUnavailable,
        "PostgreSQL: " + where.WithoutSecrets(PQerrorMessage(client->connection_.get())));
  }
  return client;
}

Status PostgresClient::Revive() {
  if (PQstatus(connection_.get()) == CONNECTION_OK) return Status::Ok();
  PQreset(connection_.get());
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    INDOUBT_ASSIGN_OR_RETURN(const auto where, pg::ConnectionString::Parse(dsn_));
    return Status(StatusCode::kUnavailable,
                  "PostgreSQL: " +
                      OneLine(where.WithoutSecrets(PQerrorMessage(connection_.get())).c_str()));
  }
  const std::lock_guard lock(cancel_mutex_);
  cancel_.reset(PQgetCancel(connection_.get()));
  return Status::Ok();
}

Result<std::vector<Row>> PostgresClient::Query(const std::string& sql,
                                               const std::vector<Cell>& params) {
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const Cell& cell : params) values.push_back(cell ? cell->c_str() : nullptr);
  const PgResult result(
      PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                   values.data(), nullptr, nullptr, 0),
      PQclear);
  INDOUBT_RETURN_IF_ERROR(Check(connection_.get(), result.get()));
  std::vector<Row> rows(static_cast<size_t>(PQntuples(result.get())));
  for (size_t r = 0; r < rows.size(); ++r) {
    for (int c = 0; c < PQnfields(result.get()); ++c) {
      const int row = static_cast<int>(r);
      rows[r].push_back(
          PQgetisnull(result.get(), row, c) ? Cell() : Cell(PQgetvalue(result.get(), row, c)));
    }
  }
  return rows;
}

Status PostgresClient::Run(const std::string& sql) {
  const PgResult result(PQexec(connection_.get(), sql.c_str()), PQclear);
  return Check(connection_.get(), result.get());
}

void PostgresClient::Cancel() {
  char error[256];
  // Best effort by its nature: the statement may end before the request arrives.
  const std::lock_guard lock(cancel_mutex_);
  if (cancel_) PQcancel(cancel_.get(), error, sizeof error);
}

}  // namespace indoubt
