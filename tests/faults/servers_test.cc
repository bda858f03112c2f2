#include "faults/servers.h"

#include <fstream>
#include <future>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

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

TEST(PostgresServer, AKillEndsWhereNobodyReapsItsBackends) {
  // As in a container whose first process reaps no orphans: the backends become ours
  // when their postmaster dies, and stay zombies.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  ScratchFolder folder("indoubt-servers-test");
  auto server = PostgresServer::Start(folder.path());
  ASSERT_TRUE(server) << server.error().ToString();
  std::promise<void> killed;
  std::thread rescue([ended = killed.get_future()] {
    if (ended.wait_for(std::chrono::seconds(20)) == std::future_status::ready) return;
    ADD_FAILURE() << "Kill() waits for zombies";
    while (ended.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready) {
      waitpid(-1, nullptr, WNOHANG);
    }
  });
  (*server)->Kill();
  killed.set_value();
  rescue.join();
  int zombies = 0;
  while (waitpid(-1, nullptr, WNOHANG) > 0) ++zombies;
  EXPECT_TRUE(HasFailure() || zombies > 0) << "the test made no zombie";
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

TEST(PostgresServer, AKilledOneLeavesNoSharedMemoryBehind) {
  ScratchFolder folder("indoubt-servers-test");
  auto server = PostgresServer::Start(folder.path());
  ASSERT_TRUE(server) << server.error().ToString();
  std::ifstream file((*server)->data_folder() + "/postmaster.pid");
  std::string line;
  for (int i = 0; i < 7; ++i) std::getline(file, line);
  uint64_t key = 0;
  int id = -1;
  ASSERT_TRUE(std::istringstream(line) >> key >> id) << line;
  shmid_ds state{};
  (*server)->Kill();
  EXPECT_EQ(shmctl(id, IPC_STAT, &state), 0) << "the next start on the same data wants it";
  server->reset();
  EXPECT_EQ(shmctl(id, IPC_STAT, &state), -1);
}

TEST(PostgresServer, WrongSettingIsAnErrorWithTheServersOwnWords) {
  ScratchFolder folder("indoubt-servers-test");
  auto server = PostgresServer::Start(folder.path(), {{"wal_level", "nonsense"}});
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().message(), testing::HasSubstr("wal_level"));
}

TEST(Process, InheritsNoDescriptorOfItsParents) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  auto child = Process::Start({.argv = {"sleep", "60"}});
  ASSERT_TRUE(child) << child.error().ToString();
  close(ends[1]);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0) << "the child holds the other end";
  close(ends[0]);
  EXPECT_TRUE((*child)->Running());
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
