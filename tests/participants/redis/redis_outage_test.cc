// A commit outlasts whatever Redis says for a while, and the shipped ACL keeps others off.
#include <fstream>
#include <functional>
#include <thread>

#include <sys/stat.h>

#include "tests/participants/redis/redis_fixture.h"

namespace indoubt {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class RedisOutage : public OwnRedis {
 protected:
  /// A prepared branch, whose commit is refused as `begins` says until `heal`.
  void ExpectRetried(const std::string& begins, const std::function<void()>& fail,
                     const std::function<void()>& heal) {
    const Gid gid = NewTestGid();
    const Vote vote = Prepare(gid, {"SET k " + begins});
    ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
    fail();
    const Ack ack = StartCommit(*participant_, gid, vote.token, TestDeadline()).get();
    EXPECT_EQ(ack.kind, AckKind::kRetry);
    EXPECT_THAT(ack.reason, HasSubstr(begins));
    const Vote other = Prepare(NewTestGid(), {"SET other 1"});
    EXPECT_NE(other.kind, VoteKind::kYes);
    heal();
    EXPECT_EQ(CommitNow(*participant_, gid, vote.token).kind, AckKind::kDone);
    EXPECT_EQ(Say({"GET", "k"}), begins);
    EXPECT_EQ(Say({"EXISTS", "other"}), "0");
    ExpectClean();
  }
};

TEST_F(RedisOutage, SlowAnswerIsWaitedForWhileNoDeadlineHasPassed) {
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, {"SET k 1"}).kind, VoteKind::kYes);  // connected
  Say({"CLIENT", "PAUSE", "2500", "WRITE"});                  // longer than the least wait
  const Vote slow = Prepare(NewTestGid(), {"SET other 1"});
  EXPECT_EQ(slow.kind, VoteKind::kYes) << slow.reason;
  EXPECT_EQ(CommitNow(*participant_, gid, "").kind, AckKind::kDone);
}

TEST_F(RedisOutage, TooFewReplicas) {
  ExpectRetried(
      "NOREPLICAS",
      [&] {
        Say({"CONFIG", "SET", "min-replicas-to-write", "1"});
      },
      [&] {
        Say({"CONFIG", "SET", "min-replicas-to-write", "0"});
      });
}

TEST_F(RedisOutage, BecameAReplica) {
  ExpectRetried(
      "READONLY",
      [&] {
        Say({"REPLICAOF", "127.0.0.1", "1"});
      },
      [&] {
        Say({"REPLICAOF", "NO", "ONE"});
      });
}

TEST_F(RedisOutage, FailedSave) {
  ASSERT_EQ(mkdir((server_->data_folder() + "/dump.rdb").c_str(), 0700), 0);
  ExpectRetried(
      "MISCONF",
      [&] {
        Say({"CONFIG", "SET", "save", "3600 1"});
        Say({"BGSAVE"});
        while (Say({"INFO", "persistence"}).find("rdb_last_bgsave_status:err") ==
               std::string::npos) {
        }
      },
      [&] {
        Say({"CONFIG", "SET", "stop-writes-on-bgsave-error", "no"});
      });
}

TEST_F(RedisOutage, BusyWithAScript) {
  Say({"CONFIG", "SET", "busy-reply-threshold", "10"});
  std::thread script;
  ExpectRetried(
      "BUSY",
      [&] {
        script = std::thread([&] { Say({"EVAL", "while true do end", "0"}); });
        while (Say({"PING"}).find("BUSY") == std::string::npos) {
        }
      },
      [&] {
        Say({"SCRIPT", "KILL"});
      });
  script.join();
}

/// The reply to one command of a user, over a connection of his own.
std::string As(const RedisServer& server, const std::string& user, const std::string& password,
               const std::vector<std::string>& command) {
  PlainRedis redis(server);
  const PlainReply login = redis.Send({"AUTH", user, password});
  if (login == nullptr || login->type == REDIS_REPLY_ERROR) return "no login";
  const PlainReply reply = redis.Send(command);
  if (reply == nullptr) return "error: no connection";
  if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
  return reply->str == nullptr ? "" : std::string(reply->str, reply->len);
}

TEST(RedisUsers, ShippedAclLetsOnlyIndoubtWriteTheManagedKeys) {
  ScratchFolder folder("indoubt-redis-acl");
  const std::string file = folder.path() + "/users.acl";
  std::ofstream(file).close();
  auto started = RedisServer::Start(folder.path(), {{"aclfile", file}});
  ASSERT_TRUE(started) << started.error().ToString();
  const RedisServer& server = **started;
  const std::string port = OpenTcpPort(server);
  std::ofstream(file) << std::ifstream(INDOUBT_USERS_ACL).rdbuf();
  ASSERT_EQ(Ask(server, {"ACL", "LOAD"}), "OK");
  const auto participant =
      MakeRedis("redis://indoubt:INDOUBT-PASSWORD@127.0.0.1:" + port + "/0");
  const auto report = participant->Preflight(TestDeadline());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_TRUE(report->problems.empty());
  const Gid gid = NewTestGid();
  const Vote vote =
      PrepareNow(*participant, gid,
                 {{"SET stock:1 9 EX 1000", {}, {}}, {"SETBIT stock:b 1 1", {}, {}}})
          .vote;
  ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
  const std::vector<std::vector<std::string>> attacks{
      {"SET", "stock:1", "0"},
      {"DEL", "stock:1"},
      {"EXPIRE", "stock:1", "1"},
      {"RENAME", "stock:1", "cart:1"},
      {"COPY", "cart:1", "stock:1"},
      {"FLUSHALL"},
      {"FLUSHDB"},
      {"SWAPDB", "0", "1"},
      {"FUNCTION", "FLUSH"},
      {"FUNCTION", "DELETE", "indoubt"},
      {"HDEL", "indoubt:locks", "stock:1"},
      {"DEL", "indoubt:prepared"},
      {"FCALL", "indoubt_rollback", "0", BranchId{gid, "store"}.ToString()},
      {"EVAL", "return redis.call('SET', 'stock:1', '0')", "0"}};
  for (const auto& attack : attacks) {
    const std::string shop = As(server, "shop", "SHOP-PASSWORD", attack);
    EXPECT_THAT(shop, StartsWith("NOPERM")) << attack[0];
    const std::string admin = As(server, "admin", "ADMIN-PASSWORD", attack);
    EXPECT_THAT(admin, AnyOf(StartsWith("NOPERM"), HasSubstr("can't run this command")))
        << attack[0];
    EXPECT_THAT(Ask(server, attack), StartsWith("NOAUTH")) << attack[0];
  }
  EXPECT_EQ(As(server, "shop", "SHOP-PASSWORD", {"SET", "cart:1", "x"}), "OK");
  EXPECT_NE(As(server, "shop", "SHOP-PASSWORD", {"HGET", "indoubt:locks", "stock:1"}), "");
  const Ack ack = CommitNow(*participant, gid, vote.token);
  EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
  EXPECT_EQ(As(server, "shop", "SHOP-PASSWORD", {"GET", "stock:1"}), "9");
}

}  // namespace
}  // namespace indoubt
