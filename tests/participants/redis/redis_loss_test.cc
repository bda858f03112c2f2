// A server that comes back: still loading, or without what it had promised; and streams,
// which never get that far.
#include <atomic>
#include <set>
#include <thread>

#include "tests/participants/redis/redis_fixture.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(RedisLoading, CommitIsAskedAgainAndNothingIsListedUntilTheDataAreThere) {
  ScratchFolder folder("indoubt-redis-loading");
  // Loads slowly, and answers meanwhile: after every 1024 commands.
  auto started = RedisServer::Start(folder.path(), {{"key-load-delay", "100"}});
  ASSERT_TRUE(started) << started.error().ToString();
  RedisServer& server = **started;
  auto participant = MakeRedis(server.uri());
  const Gid gid = NewTestGid();
  const Vote vote = PrepareNow(*participant, gid, {{"SET k v", {}, {}}}).vote;
  ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
  Ask(server, {"EVAL", "for i = 1, 16000 do redis.call('SET', 'ballast:' .. i, i) end", "0"});
  ASSERT_EQ(Ask(server, {"DBSIZE"}), "16002") << "16000, intent and lock";
  server.Kill();

  std::set<std::string> commit_said, list_said, vote_said, preflight_said;
  std::atomic<bool> done = false;
  std::thread coordinator([&] {
    while (!done) {
      if (const auto report = participant->Preflight(TestDeadline()); !report) {
        EXPECT_EQ(report.error().code(), StatusCode::kUnavailable);
        preflight_said.insert(report.error().message());
      }
      const auto listed = participant->ListPrepared(TestDeadline());
      if (listed) {
        EXPECT_EQ(listed->size(), 1u) << "a shorter list presumes an abort";
      } else {
        list_said.insert(listed.error().message());
      }
      if (list_said.empty()) continue;  // the server is still the old one
      const Vote other =
          PrepareNow(*participant, NewTestGid(), {{"REQUIRE k EXISTS", {}, {}}}).vote;
      if (other.kind != VoteKind::kYes) vote_said.insert(other.reason);
      const Ack ack = StartCommit(*participant, gid, "", TestDeadline()).get();
      EXPECT_NE(ack.kind, AckKind::kHeuristic) << ack.reason;
      if (ack.kind == AckKind::kRetry) commit_said.insert(ack.reason);
      done = ack.kind != AckKind::kRetry;
    }
  });
  const Status restarted = server.Restart();  // by this thread, with which the server ends
  if (!restarted.ok()) done = true;
  coordinator.join();
  ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  const auto loading = ::testing::Contains(HasSubstr("LOADING"));
  EXPECT_THAT(commit_said, loading);
  EXPECT_THAT(list_said, loading);
  EXPECT_THAT(vote_said, loading);
  EXPECT_THAT(preflight_said, loading);
  EXPECT_EQ(Ask(server, {"GET", "k"}), "v");
  EXPECT_EQ(Ask(server, {"HLEN", std::string(kRedisPreparedKey)}), "0");
}

TEST(RedisFailover, PrepareThatTheReplicaNeverHadIsHeuristicAndNoSilentCommit) {
  ScratchFolder folder("indoubt-redis-failover"), other("indoubt-redis-failover");
  auto first = RedisServer::Start(folder.path());
  ASSERT_TRUE(first) << first.error().ToString();
  auto second = RedisServer::Start(other.path());
  ASSERT_TRUE(second) << second.error().ToString();
  RedisServer &master = **first, &replica = **second;
  ASSERT_EQ(Ask(replica, {"REPLICAOF", "127.0.0.1", OpenTcpPort(master)}), "OK");
  ASSERT_TRUE(Eventually([&] {
    return Ask(replica, {"INFO", "replication"}).find("master_link_status:up") !=
           std::string::npos;
  }));
  auto before = MakeRedis(master.uri());
  const Gid kept = NewTestGid(), lost = NewTestGid(), undecided = NewTestGid();
  ASSERT_EQ(PrepareNow(*before, kept, {{"SET kept 1", {}, {}}}).vote.kind, VoteKind::kYes);
  ASSERT_TRUE(Eventually([&] {
    return Ask(replica, {"HLEN", std::string(kRedisPreparedKey)}) == "1";
  }));
  ASSERT_EQ(Ask(replica, {"REPLICAOF", "NO", "ONE"}), "OK");  // somebody fails over too early
  ASSERT_EQ(PrepareNow(*before, lost, {{"SET lost 1", {}, {}}}).vote.kind, VoteKind::kYes);
  ASSERT_EQ(PrepareNow(*before, undecided, {{"SET undecided 1", {}, {}}}).vote.kind,
            VoteKind::kYes);
  master.Kill();

  auto after = MakeRedis(replica.uri());
  const auto listed = after->ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().id.gid, kept);
  EXPECT_EQ(CommitNow(*after, kept, "").kind, AckKind::kDone);
  for (int i = 0; i < 2; ++i) {  // and it stays so when asked again
    const Ack ack = CommitNow(*after, lost, "");
    EXPECT_EQ(ack.kind, AckKind::kHeuristic);
    EXPECT_THAT(ack.reason, HasSubstr("gone"));
  }
  EXPECT_EQ(RollbackNow(*after, undecided).kind, AckKind::kDone);
  EXPECT_EQ(Ask(replica, {"GET", "kept"}), "1");
  EXPECT_EQ(Ask(replica, {"EXISTS", "lost", "undecided"}), "0");
  EXPECT_EQ(Ask(replica, {"HLEN", std::string(kRedisLocksKey)}), "0");
}

class RedisLoss : public OwnRedis {};

TEST_F(RedisLoss, FlushAfterARestartIsHeuristicForEveryCommitAndNothingForARollback) {
  const Gid committed = NewTestGid(), rolled_back = NewTestGid();
  ASSERT_EQ(Prepare(committed, {"SET k v"}).kind, VoteKind::kYes);
  ASSERT_EQ(Prepare(rolled_back, {"SET l v"}).kind, VoteKind::kYes);
  Say({"FLUSHALL"});
  ASSERT_TRUE(server_->Restart().ok());
  participant_ = MakeRedis(server_->uri());
  const auto listed = participant_->ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  EXPECT_THAT(*listed, IsEmpty());
  const Ack ack = CommitNow(*participant_, committed, "");
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason, HasSubstr("gone"));
  EXPECT_EQ(RollbackNow(*participant_, rolled_back).kind, AckKind::kDone);
  EXPECT_EQ(Say({"EXISTS", "k", "l"}), "0");
}

TEST_F(RedisLoss, WrongDatabaseIsNamedAndWhatIsPreparedStaysForTheRightOne) {
  const Gid committed = NewTestGid(), rolled_back = NewTestGid();
  ASSERT_EQ(Prepare(committed, {"SET k v"}).kind, VoteKind::kYes);
  ASSERT_EQ(Prepare(rolled_back, {"SET l v"}).kind, VoteKind::kYes);
  const auto wrong = MakeRedis("unix://" + server_->socket_path() + "?db=3");
  const Ack commit = StartCommit(*wrong, committed, "", TestDeadline()).get();
  EXPECT_EQ(commit.kind, AckKind::kRetry);
  EXPECT_THAT(commit.reason, HasSubstr("prepared in database 0"));
  const Ack rollback = StartRollback(*wrong, rolled_back, "", TestDeadline()).get();
  EXPECT_EQ(rollback.kind, AckKind::kRetry);
  EXPECT_THAT(rollback.reason, HasSubstr("prepared in database 0"));
  EXPECT_EQ(CommitNow(*participant_, committed, "").kind, AckKind::kDone);
  EXPECT_EQ(RollbackNow(*participant_, rolled_back).kind, AckKind::kDone);
  EXPECT_EQ(Say({"GET", "k"}), "v");
  ExpectClean();
}

TEST_F(RedisLoss, StreamsAreRefusedByNameWithTheReasonAndWithoutAWrite) {
  ASSERT_NE(Say({"XADD", "events", "1-1", "k", "v"}), "");
  for (const char* line :
       {"XADD events * k v", "XADD events 2-1 k v", "XDEL events 1-1", "XTRIM events MAXLEN 0",
        "XLEN events", "XRANGE events - +", "XREVRANGE events + -", "XREAD STREAMS events 0",
        "XGROUP CREATE events g 0", "XREADGROUP GROUP g c STREAMS events >",
        "XACK events g 1-1", "XPENDING events g", "XCLAIM events g c 0 1-1",
        "XAUTOCLAIM events g c 0 0", "XINFO STREAM events", "XSETID events 5-0"}) {
    const std::string name = std::string(line).substr(0, std::string(line).find(' '));
    const Vote vote = Prepare(NewTestGid(), {"SET first 1", line});
    EXPECT_EQ(vote.kind, VoteKind::kNo) << line;
    EXPECT_THAT(vote.reason, AllOf(HasSubstr(name), HasSubstr("streams cannot take part"),
                                   HasSubstr("the clock gives an entry its id")))
        << line;
  }
  for (const char* line : {"DEL events", "SET events x", "EXPIRE events 10", "TYPE events",
                           "LPUSH events x", "GET events"}) {
    const Vote vote = Prepare(NewTestGid(), {"SET first 1", line});
    EXPECT_EQ(vote.kind, VoteKind::kNo) << line;
    EXPECT_THAT(vote.reason, HasSubstr("the key holds a stream")) << line;
  }
  EXPECT_EQ(Say({"XLEN", "events"}), "1");
  EXPECT_EQ(Say({"EXISTS", "first"}), "0");
  ExpectClean();
}

}  // namespace
}  // namespace indoubt
