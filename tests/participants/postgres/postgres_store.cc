#include "tests/participants/postgres/postgres_store.h"

#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "participants/postgres/postgres_participant.h"

namespace indoubt {
namespace {

/// The name of a server's socket in its folder; also what the proxy's must be.
constexpr const char* kSocketName = ".s.PGSQL.5432";

std::string ProxyFolder(const ScratchFolder& folder) { return folder.path() + "/proxy"; }

}  // namespace

std::unique_ptr<ContractStore> PostgresStore::Start() {
  std::unique_ptr<PostgresStore> store(new PostgresStore());
  auto server = PostgresServer::Start(store->folder_.path());
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().ToString().c_str());
    return nullptr;
  }
  store->server_ = *std::move(server);
  std::filesystem::create_directory(ProxyFolder(store->folder_));
  auto proxy = Proxy::Start(
      {.listen = fmt::format("unix:{}/{}", ProxyFolder(store->folder_), kSocketName),
       .server = fmt::format("unix:{}/{}", store->server_->socket_folder(), kSocketName)});
  if (!proxy) {
    std::fprintf(stderr, "%s\n", proxy.error().ToString().c_str());
    return nullptr;
  }
  store->proxy_ = *std::move(proxy);
  return store;
}

std::string PostgresStore::Psql(const std::string& sql) {
  if (!outsider_ || PQstatus(outsider_.get()) != CONNECTION_OK) {
    outsider_.reset(PQconnectdb(server_->dsn().c_str()));
    const std::unique_ptr<PGresult, void (*)(PGresult*)> set(
        PQexec(outsider_.get(), "SET client_min_messages = warning"), PQclear);
  }
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
      PQexec(outsider_.get(), sql.c_str()), PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_COMMAND_OK) return PQcmdStatus(result.get());
  if (status == PGRES_TUPLES_OK) {
    return PQntuples(result.get()) == 0 ? "" : PQgetvalue(result.get(), 0, 0);
  }
  const char* sqlstate = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  return std::string("ERROR: ") + (sqlstate == nullptr ? "connection" : sqlstate);
}

Status PostgresStore::Reset() {
  if (server_->pid() < 0) INDOUBT_RETURN_IF_ERROR(server_->Restart());
  // A backend whose client has gone may still prepare: end them all before looking.
  while (Psql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
              "backend_type = 'client backend' AND pid <> pg_backend_pid()") != "0") {
  }
  for (;;) {
    const std::string gid = Psql("SELECT gid FROM pg_prepared_xacts LIMIT 1");
    if (gid.empty()) break;
    const std::string rolled_back = Psql(fmt::format("ROLLBACK PREPARED '{}'", gid));
    if (rolled_back != "ROLLBACK PREPARED") {
      return Status(StatusCode::kInternal, gid + ": " + rolled_back);
    }
  }
  for (const char* sql : {"DROP TABLE IF EXISTS held, other", "CREATE TABLE other (x int)",
                          "CREATE TABLE held (name text PRIMARY KEY, amount bigint NOT NULL)",
                          "INSERT INTO held VALUES ('a', 100), ('b', 100)"}) {
    const std::string done = Psql(sql);
    if (done.starts_with("ERROR")) return Status(StatusCode::kInternal, sql + (": " + done));
  }
  return Status::Ok();
}

std::unique_ptr<Participant> PostgresStore::MakeParticipantWith(const std::string& extra,
                                                                int max_connections,
                                                                const std::string& name) {
  auto made = MakePostgresParticipant(
      {.name = name, .dsn = server_->dsn() + " " + extra, .max_connections = max_connections});
  INDOUBT_CHECK(made.has_value(), made.status().ToString());
  return *std::move(made);
}

std::unique_ptr<Participant> PostgresStore::MakeParticipant() {
  return MakeParticipantWith("");
}

std::unique_ptr<Participant> PostgresStore::MakeNamed(const std::string& name) {
  return MakeParticipantWith("", 8, name);
}

std::unique_ptr<Participant> PostgresStore::MakeProxied() {
  return MakeParticipantWith("host=" + ProxyFolder(folder_));
}

std::unique_ptr<Participant> PostgresStore::MakeUnreachable() {
  return MakeParticipantWith("host=" + folder_.path() + "/nothing password=sesame");
}

void PostgresStore::KillServer() {
  outsider_.reset();
  server_->Kill();
}
Status PostgresStore::RestartServer() { return server_->Restart(); }

Statement PostgresStore::Add(const std::string& name, int64_t amount) {
  return {.text = "UPDATE held SET amount = amount + $2 WHERE name = $1",
          .params = {Value{name}, Value{amount}},
          .expect_rows = {}};
}
Statement PostgresStore::Insert(const std::string& name, int64_t value) {
  return {.text = "INSERT INTO held VALUES ($1, $2)",
          .params = {Value{name}, Value{value}},
          .expect_rows = {}};
}
Statement PostgresStore::Read(const std::string& name) {
  return {.text = "SELECT amount FROM held WHERE name = $1",
          .params = {Value{name}},
          .expect_rows = {}};
}
ContractStore::Failing PostgresStore::MakeFailing() {
  return {{.text = "INSERT INTO held VALUES ('b', 1)", .params = {}, .expect_rows = {}},
          "held_pkey"};
}
Statement PostgresStore::TouchesNotSeven() {
  return {.text = "UPDATE held SET amount = 0", .params = {}, .expect_rows = {}};
}

std::optional<int64_t> PostgresStore::Look(const std::string& name) {
  const std::string text = Psql(fmt::format("SELECT amount FROM held WHERE name = '{}'", name));
  if (text.empty()) return std::nullopt;
  return std::stoll(text);
}

bool PostgresStore::OutsideWrite(const std::string& name, int64_t value) {
  const auto ran = RunProgram(
      {.argv = {"psql", "-X", "-q", "-d", server_->dsn(), "-v", "ON_ERROR_STOP=1", "-c",
                "SET lock_timeout = '200ms'", "-c",
                fmt::format("INSERT INTO held VALUES ('{}', {}) ON CONFLICT (name) DO UPDATE "
                            "SET amount = excluded.amount",
                            name, value)}},
      SystemClock().Now() + std::chrono::seconds(30));
  return ran.has_value();
}

void PostgresStore::LeaveForeignBranch() {
  Psql("BEGIN");
  Psql("INSERT INTO other VALUES (1)");
  Psql("PREPARE TRANSACTION 'idt:another program'");
}
bool PostgresStore::ForeignBranchIsThere() {
  return Psql("SELECT 1 FROM pg_prepared_xacts WHERE gid = 'idt:another program'") == "1";
}

}  // namespace indoubt
