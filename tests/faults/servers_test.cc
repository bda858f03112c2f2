#include "faults/servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>

namespace indoubt {
namespace {

std::string AskPostgres(const PostgresServer& server, const char* sql) {
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(server.dsn().c_str()),
                                                              PQfinish);
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection.get(), sql),
                                                              PQclear);
  return PQntuples(result.get()) == 1 ? PQgetvalue(result.get(), 0, 0)
                                      : PQerrorMessage(connection.get());
}

TEST(PostgresServer, KeepsWhatWasCommittedOverAKill) {
  ScratchFolder folder("indoubt-servers-test");
  auto server = PostgresServer::Start(folder.path());
  ASSERT_TRUE(server) << server.error().ToString();
  AskPostgres(**server, "CREATE TABLE t AS SELECT 7 AS x");
  const pid_t killed = (*server)->pid();
  (*server)->Kill();
  const Status restarted = (*server)->Restart();
  ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  EXPECT_NE((*server)->pid(), killed);
  EXPECT_EQ(AskPostgres(**server, "SELECT x FROM t"), "7");
  EXPECT_EQ(AskPostgres(**server, "SHOW wal_level"), "logical");
  EXPECT_THAT((*server)->version(), testing::StartsWith("15."));
}

TEST(PostgresServer, WrongSettingIsAnErrorWithTheServersOwnWords) {
  ScratchFolder folder("indoubt-servers-test");
  auto server = PostgresServer::Start(folder.path(), {{"wal_level", "nonsense"}});
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().message(), testing::HasSubstr("wal_level"));
}

TEST(RedisServer, KeepsWhatWasWrittenOverAKill) {
  ScratchFolder folder("indoubt-servers-test");
  auto server = RedisServer::Start(folder.path());
  ASSERT_TRUE(server) << server.error().ToString();
  const auto ask = [&](const char* command) {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
        redisConnectUnix((*server)->socket_path().c_str()), redisFree);
    const std::unique_ptr<void, void (*)(void*)> reply(redisCommand(context.get(), command),
                                                       freeReplyObject);
    return std::string(static_cast<redisReply*>(reply.get())->str);
  };
  EXPECT_EQ(ask("SET k v"), "OK");
  (*server)->Kill();
  const Status restarted = (*server)->Restart();
  ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  EXPECT_EQ(ask("GET k"), "v");
}

}  // namespace
}  // namespace indoubt
