#include "tests/cdc/fixture.h"

#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <sqlite3.h>

#include "tests/cdc/sums_derivation.h"

namespace indoubt {
namespace {

using RedisContextPtr = std::unique_ptr<redisContext, void (*)(redisContext*)>;
using ReplyPtr = std::unique_ptr<redisReply, void (*)(redisReply*)>;

ReplyPtr RedisAsk(const std::string& socket_path, const std::vector<std::string>& command) {
  const RedisContextPtr context(redisConnectUnix(socket_path.c_str()), redisFree);
  std::vector<const char*> arguments;
  arguments.reserve(command.size());
  for (const std::string& argument : command) arguments.push_back(argument.c_str());
  return ReplyPtr(
      static_cast<redisReply*>(redisCommandArgv(
          context.get(), static_cast<int>(arguments.size()), arguments.data(), nullptr)),
      [](redisReply* reply) { freeReplyObject(reply); });
}

// Pairs of names and integers in a row.
Sums PairsOf(const ReplyPtr& reply) {
  EXPECT_TRUE(reply && reply->type == REDIS_REPLY_ARRAY) << (reply ? reply->str : "no reply");
  Sums sums;
  for (size_t i = 0; reply && i + 1 < reply->elements; i += 2) {
    sums[reply->element[i]->str] = std::stoll(reply->element[i + 1]->str);
  }
  return sums;
}

}  // namespace

SourceClient::SourceClient(const std::string& dsn) : connection_(PQconnectdb(dsn.c_str())) {}
SourceClient::~SourceClient() { PQfinish(static_cast<PGconn*>(connection_)); }

std::string SourceClient::Run(const std::string& sql) {
  auto* connection = static_cast<PGconn*>(connection_);
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection, sql.c_str()),
                                                              PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
      << sql << ": " << PQerrorMessage(connection);
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

Sums SourceClient::Query(const std::string& sql) {
  auto* connection = static_cast<PGconn*>(connection_);
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection, sql.c_str()),
                                                              PQclear);
  Sums sums;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    sums[PQgetvalue(result.get(), row, 0)] = std::stoll(PQgetvalue(result.get(), row, 1));
  }
  return sums;
}

Sums SqliteRows(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
  sqlite3_busy_timeout(db, 5000);
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
      << sqlite3_errmsg(db);
  Sums sums;
  int step = SQLITE_OK;
  while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    sums[text ? text : ""] = sqlite3_column_int64(statement, 1);
  }
  EXPECT_EQ(step, SQLITE_DONE) << sqlite3_errmsg(db);
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return sums;
}

std::string SqliteOne(const std::string& path, const std::string& sql) {
  const Sums rows = SqliteRows(path, "SELECT *, 0 FROM (" + sql + ")");
  return rows.empty() ? "" : rows.begin()->first;
}

Sums SqliteSums(const std::string& path) {
  return SqliteRows(path, "SELECT item, amount FROM sums");
}

Sums RedisSums(const std::string& socket_path) { return RedisHash(socket_path, "sums"); }

Sums RedisHash(const std::string& socket_path, const std::string& key) {
  return PairsOf(RedisAsk(socket_path, {"HGETALL", key}));
}

Sums RedisFields(const std::string& socket_path, const std::string& prefix,
                 const std::string& field) {
  return PairsOf(RedisAsk(
      socket_path, {"EVAL",
                    "local pairs_ = {} "
                    "for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do "
                    "pairs_[#pairs_ + 1] = string.sub(key, #ARGV[1] + 1) "
                    "pairs_[#pairs_ + 1] = redis.call('HGET', key, ARGV[2]) end return pairs_",
                    "0", prefix, field}));
}

std::string RedisOne(const std::string& socket_path, const std::vector<std::string>& command) {
  const ReplyPtr reply = RedisAsk(socket_path, command);
  return reply && reply->str ? reply->str : "";
}

void CdcFixture::SetUp() {
  auto postgres = PostgresServer::Start(folder_.path());
  ASSERT_TRUE(postgres) << postgres.error().ToString();
  postgres_ = std::move(*postgres);
  auto redis = RedisServer::Start(folder_.path());
  ASSERT_TRUE(redis) << redis.error().ToString();
  redis_ = std::move(*redis);
  Client().Run(
      "CREATE TABLE moves(id bigserial PRIMARY KEY, item text NOT NULL, amount bigint NOT "
      "NULL);"
      "CREATE TABLE elsewhere(id bigserial PRIMARY KEY, note text)");
}

CdcOptions CdcFixture::Options() const {
  CdcOptions options;
  options.source_dsn = postgres_->dsn();
  options.tables = {"moves"};
  options.event_log_path = event_log_path_;
  options.views = SumsViews(redis_->uri(), sqlite_path_, SumsDerivation());
  return options;
}

Sums CdcFixture::SourceSums() const {
  return Client().Query("SELECT item, sum(amount) FROM moves GROUP BY item");
}

void CdcFixture::ExpectViewsEqualSource() {
  const Status reached =
      WaitForViews(Options(), SystemClock().Now() + std::chrono::seconds(30));
  ASSERT_TRUE(reached.ok()) << reached.ToString();
  ExpectSumsEqualSource();
}

void CdcFixture::ExpectSumsEqualSource() {
  const Sums sums = SourceSums();
  const Sums counts = Client().Query("SELECT item, count(*) FROM moves GROUP BY item");
  EXPECT_FALSE(sums.empty());
  EXPECT_EQ(RedisSums(redis_->socket_path()), sums);
  EXPECT_EQ(RedisHash(redis_->socket_path(), "counts"), counts);
  EXPECT_EQ(SqliteSums(sqlite_path_), sums);
  EXPECT_EQ(SqliteRows(sqlite_path_, "SELECT item, changes FROM sums"), counts);
}

void CdcFixture::DropSlot() const {
  // It cannot be dropped while it is read: the reader is thrown out first.
  Client().Run(
      "DO $$ BEGIN LOOP BEGIN "
      "PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots; "
      "PERFORM pg_drop_replication_slot('indoubt'); RETURN; "
      "EXCEPTION WHEN object_in_use THEN NULL; END; END LOOP; END $$");
}

}  // namespace indoubt
