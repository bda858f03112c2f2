// Redis keeps its yes where Redis itself would not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "faults/servers.h"
#include "participants/redis/redis_keys.h"
#include "participants/redis/redis_participant.h"
#include "tests/participants/contract_calls.h"
#include "tests/participants/redis/redis_ask.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

class RedisPromise : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder("indoubt-redis-promise");
    auto server = RedisServer::Start(folder_->path());
    INDOUBT_CHECK(server.has_value(), server.error().ToString());
    server_ = server->release();
  }
  static void TearDownTestSuite() {
    delete server_;
    delete folder_;
  }
  void SetUp() override {
    Say({"CONFIG", "SET", "maxmemory", "0"});
    Say({"CONFIG", "SET", "appendfsync", "always"});
    Say({"FLUSHALL"});
    participant_ = MakeRedis(server_->uri());
  }
  /// Over TCP, since a unix URI carries no password.
  std::unique_ptr<Participant> MakeRedisAs(const std::string& user, const std::string& word) {
    return MakeRedis("redis://" + user + ":" + word + "@127.0.0.1:" + OpenTcpPort(*server_) +
                     "/0");
  }
  std::string Say(const std::vector<std::string>& command) { return Ask(*server_, command); }
  Vote Prepare(const Gid& gid, const std::vector<std::string>& lines) {
    std::vector<Statement> statements;
    for (const std::string& line : lines) statements.push_back({line, {}, {}});
    return PrepareNow(*participant_, gid, statements).vote;
  }
  void ExpectClean() {
    EXPECT_EQ(Say({"HLEN", std::string(kRedisPreparedKey)}), "0");
    EXPECT_EQ(Say({"HLEN", std::string(kRedisLocksKey)}), "0");
  }

  static ScratchFolder* folder_;
  static RedisServer* server_;
  std::unique_ptr<Participant> participant_;
};
ScratchFolder* RedisPromise::folder_ = nullptr;
RedisServer* RedisPromise::server_ = nullptr;

TEST_F(RedisPromise, OutcomesThatAreForgottenGoSoonAndBeforeTheParticipant) {
  const auto outcomes = [this] { return Say({"HLEN", std::string(kRedisOutcomesKey)}); };
  const auto commit_and_forget = [this] {
    const Gid gid = NewTestGid();
    const Vote vote = Prepare(gid, {"INCRBY n 1"});
    ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
    ASSERT_EQ(CommitNow(*participant_, gid, vote.token).kind, AckKind::kDone);
    participant_->Forget(gid);
  };
  for (int i = 0; i < 20; ++i) commit_and_forget();
  EXPECT_TRUE(Eventually([&] { return outcomes() == "0"; })) << outcomes();
  commit_and_forget();
  participant_.reset();
  EXPECT_EQ(outcomes(), "0");
  EXPECT_EQ(Say({"GET", "n"}), "21");
  ExpectClean();
}

TEST_F(RedisPromise, EveryTypeIsStagedAndCommitted) {
  Say({"RPUSH", "list", "m"});
  Say({"HSET", "hash", "f", "1", "gone", "x"});
  const Gid gid = NewTestGid();
  const Vote vote = Prepare(
      gid, {"SET s v", "APPEND s w", "HSET hash g 2", "HINCRBY hash f 41", "HDEL hash gone",
            "LPUSH list a", "RPUSH list z", "SADD set x y", "SREM set x", "ZADD z 1.5 m",
            "ZINCRBY z 1 m", "INCRBY n 9223372036854775806", "INCR n", "DEL nothing"});
  ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
  EXPECT_EQ(Say({"EXISTS", "s", "set", "z", "n"}), "0");
  ASSERT_EQ(CommitNow(*participant_, gid, vote.token).kind, AckKind::kDone);
  EXPECT_EQ(Say({"GET", "s"}), "vw");
  EXPECT_EQ(Say({"HGET", "hash", "f"}), "42");
  EXPECT_EQ(Say({"HLEN", "hash"}), "2");
  EXPECT_EQ(Say({"LINDEX", "list", "0"}) + Say({"LINDEX", "list", "-1"}), "az");
  EXPECT_EQ(Say({"SCARD", "set"}), "1");
  EXPECT_EQ(Say({"ZSCORE", "z", "m"}), "2.5");
  EXPECT_EQ(Say({"GET", "n"}), "9223372036854775807");
  ExpectClean();
}

TEST_F(RedisPromise, RefusalsWriteNothingAtAll) {
  Say({"SET", "k", "9223372036854775807"});
  Say({"SET", "ttl", "1", "EX", "1000"});
  const std::vector<std::pair<std::string, std::string>> refused{
      {"INCR k", "overflow"},         {"LPUSH k x", "WRONGTYPE"}, {"INCRBY k x", "integer"},
      {"SET k", "arguments"},         {"SET k v EX 0", "expire"}, {"TTL ttl", "clock"},
      {"FLUSHALL", "supported"},      {"BLPOP l 0", "supported"}, {"SPOP s", "random"},
      {"SET indoubt:locks x", "own"}, {"ZADD z nan m", "float"},  {"NOSUCH k", "supported"}};
  for (const auto& [line, reason] : refused) {
    const Vote vote = Prepare(NewTestGid(), {"SET first 1", line});
    EXPECT_EQ(vote.kind, VoteKind::kNo) << line;
    EXPECT_THAT(vote.reason, HasSubstr(reason)) << line;
    EXPECT_EQ(Say({"EXISTS", "first"}), "0") << line;
  }
  ExpectClean();
}

TEST_F(RedisPromise, OutOfMemoryIsANoAtPrepareAndNoHindranceAtCommit) {
  const Gid gid = NewTestGid();
  const Vote vote = Prepare(gid, {"SET k v"});
  ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
  Say({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(Prepare(NewTestGid(), {"SET l v"}).kind, VoteKind::kNo);
  EXPECT_EQ(CommitNow(*participant_, gid, vote.token).kind, AckKind::kDone);
  Say({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(Say({"GET", "k"}), "v");
}

TEST_F(RedisPromise, LostDataIsHeuristicAndNeverASilentCommit) {
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, {"SET k v"}).kind, VoteKind::kYes);
  Say({"FLUSHALL"});
  const Ack ack = CommitNow(*participant_, gid, "");
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason, HasSubstr("gone"));
  EXPECT_EQ(Say({"EXISTS", "k"}), "0");
}

TEST_F(RedisPromise, InterferenceIsDetectedAtCommitAndReported) {
  Say({"SET", "k", "1"});
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, {"INCR k"}).kind, VoteKind::kYes);
  Say({"SET", "k", "100"});
  const Ack ack = CommitNow(*participant_, gid, "");
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason, HasSubstr("k"));
  ExpectClean();
}

TEST_F(RedisPromise, AnotherTypeUnderAPreparedBranchGivesWayAndIsReported) {
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, {"HSET h f 1", "RPUSH l x", "SADD s m"}).kind, VoteKind::kYes);
  Say({"MSET", "h", "text", "l", "text", "s", "text"});
  const Ack ack = CommitNow(*participant_, gid, "");
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason, HasSubstr("h, l, s"));
  EXPECT_EQ(Say({"HGET", "h", "f"}), "1");
  EXPECT_EQ(Say({"LLEN", "l"}) + Say({"SCARD", "s"}), "11");
  EXPECT_EQ(CommitNow(*participant_, gid, "").kind, AckKind::kHeuristic) << "the same again";
}

TEST_F(RedisPromise, OnlyMembersThatTheBranchWritesAreHeldAgainstAnOutsider) {
  Say({"HSET", "h", "mine", "1", "other", "1"});
  const Gid first = NewTestGid(), second = NewTestGid();
  ASSERT_EQ(Prepare(first, {"HINCRBY h mine 1"}).kind, VoteKind::kYes);
  Say({"HSET", "h", "other", "2", "third", "3"});
  EXPECT_EQ(CommitNow(*participant_, first, "").kind, AckKind::kDone);
  ASSERT_EQ(Prepare(second, {"HINCRBY h mine 1"}).kind, VoteKind::kYes);
  Say({"HSET", "h", "mine", "100"});  // the number of fields stays
  EXPECT_EQ(CommitNow(*participant_, second, "").kind, AckKind::kHeuristic);
  EXPECT_EQ(Say({"HGET", "h", "mine"}), "3");
  EXPECT_EQ(Say({"HGET", "h", "other"}), "2");
}

TEST_F(RedisPromise, ReasonNamesTheStatementAndItsKey) {
  Say({"SET", "k", "text"});
  EXPECT_THAT(Prepare(NewTestGid(), {"SET a 1", "INCR k"}).reason,
              HasSubstr("statement 2 (INCR k)"));
  for (const Statement& wrong : std::vector<Statement>{{"SET a \"open", {}, {}},
                                                       {"SET a $2", {{int64_t{1}}}, {}},
                                                       {"SET a $1", {Value{}}, {}}}) {
    const Vote vote =
        PrepareNow(*participant_, NewTestGid(), {{"SET a 1", {}, {}}, wrong}).vote;
    EXPECT_EQ(vote.kind, VoteKind::kNo);
    EXPECT_THAT(vote.reason, HasSubstr("statement 2: ")) << wrong.text;
  }
}

TEST_F(RedisPromise, BranchThatChangesNothingIsReadOnlyAndLocksNothing) {
  Say({"SET", "k", "v"});
  EXPECT_EQ(Prepare(NewTestGid(), {"GET k", "DEL missing"}).kind, VoteKind::kReadOnly);
  ExpectClean();
}

TEST_F(RedisPromise, ResultsOfABranchAreBoundedTogether) {
  Say({"SETRANGE", "big", "30000000", "x"});
  EXPECT_EQ(Prepare(NewTestGid(), {"GET big", "GET big"}).kind, VoteKind::kReadOnly);
  const Vote vote = Prepare(NewTestGid(), {"GET big", "GET big", "GET big"});
  EXPECT_EQ(vote.kind, VoteKind::kNo);
  EXPECT_THAT(vote.reason, HasSubstr("statement 3 (GET big)"));
  EXPECT_THAT(vote.reason, HasSubstr("more than 64 MiB"));
}

TEST_F(RedisPromise, ReadThatWentStaleBeforeThePrepareIsANo) {
  Say({"SET", "k", "1"});
  auto stale = participant_->Begin(NewTestGid(), TestDeadline());
  ASSERT_TRUE(WorkNow(*stale, {{"GET k", {}, {}}}));
  Say({"SET", "k", "2"});
  EXPECT_EQ(PrepareNow(*stale, {{"SET l 1", {}, {}}}).vote.kind, VoteKind::kNo);
  auto fresh = participant_->Begin(NewTestGid(), TestDeadline());
  ASSERT_TRUE(WorkNow(*fresh, {{"GET k", {}, {}}}));
  EXPECT_EQ(PrepareNow(*fresh, {{"SET l 1", {}, {}}}).vote.kind, VoteKind::kYes);
}

TEST_F(RedisPromise, MissingRightIsANoAndOneTakenAwayLaterIsRetried) {
  // The rights that docs/redis.md names, and to read prices.
  Say({"ACL", "SETUSER", "shop", "on", ">secret", "~indoubt:*", "~stock:*", "%R~price:*",
       "+@read", "+@write", "+@connection", "+fcall", "+function|load", "+info",
       "+config|get"});
  // Another program's, for which the managed keys are to be read only.
  Say({"ACL", "SETUSER", "other", "on", "nopass", "%R~stock:*", "+@read", "+@write"});
  EXPECT_THAT(Say({"ACL", "DRYRUN", "other", "SET", "stock:1", "9"}),
              HasSubstr("no permissions"));
  EXPECT_EQ(Say({"ACL", "DRYRUN", "other", "GET", "stock:1"}), "OK");
  const auto shop = MakeRedisAs("shop", "secret");
  const Vote refused = PrepareNow(*shop, NewTestGid(), {{"SET price:1 9", {}, {}}}).vote;
  EXPECT_EQ(refused.kind, VoteKind::kNo);
  EXPECT_THAT(refused.reason, HasSubstr("SET price:1"));
  ExpectClean();
  const Gid gid = NewTestGid();
  ASSERT_EQ(PrepareNow(*shop, gid, {{"SET stock:1 9", {}, {}}}).vote.kind, VoteKind::kYes);
  Say({"ACL", "SETUSER", "shop", "resetkeys", "~indoubt:*"});
  EXPECT_EQ(StartCommit(*shop, gid, "", TestDeadline()).get().kind, AckKind::kRetry);
  EXPECT_EQ(Say({"EXISTS", "stock:1"}), "0");
  Say({"ACL", "SETUSER", "shop", "~stock:*"});
  EXPECT_EQ(CommitNow(*shop, gid, "").kind, AckKind::kDone);
  EXPECT_EQ(Say({"GET", "stock:1"}), "9");
}

TEST_F(RedisPromise, SettingThatIsWeakenedLaterIsRefusedFromTheNextListingOn) {
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, {"SET k v"}).kind, VoteKind::kYes);
  Say({"CONFIG", "SET", "appendfsync", "everysec"});
  const auto listed = participant_->ListPrepared(TestDeadline());
  ASSERT_FALSE(listed);
  EXPECT_THAT(listed.error().message(), HasSubstr("CONFIG SET appendfsync always"));
  EXPECT_EQ(Prepare(NewTestGid(), {"SET l v"}).kind, VoteKind::kNo);
  EXPECT_EQ(StartCommit(*participant_, gid, "", TestDeadline()).get().kind, AckKind::kRetry);
  Say({"CONFIG", "SET", "appendfsync", "always"});
  EXPECT_EQ(CommitNow(*participant_, gid, "").kind, AckKind::kDone);
}

TEST_F(RedisPromise, BranchesOfAnotherNameAreListedToo) {
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, {"SET k v"}).kind, VoteKind::kYes);
  const auto renamed =
      MakeRedisParticipant({"renamed", server_->uri(), RedisDurability::kStrict, 1});
  ASSERT_TRUE(renamed) << renamed.error().ToString();
  const auto listed = (*renamed)->ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().id, (BranchId{gid, "store"}));
  EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kDone);
}

TEST_F(RedisPromise, PrepareAfterARestartOfTheServerNeedsNoSecondTry) {
  ASSERT_EQ(Prepare(NewTestGid(), {"GET k"}).kind, VoteKind::kReadOnly);
  server_->Kill();
  ASSERT_TRUE(server_->Restart().ok());
  const Vote vote = Prepare(NewTestGid(), {"SET k v"});
  EXPECT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
}

TEST_F(RedisPromise, ReplicaIsRefusedInRelaxedToo) {
  Say({"CONFIG", "SET", "replica-serve-stale-data", "yes"});
  Say({"REPLICAOF", "127.0.0.1", "1"});
  const auto report =
      MakeRedis(server_->uri(), RedisDurability::kRelaxed)->Preflight(TestDeadline());
  Say({"REPLICAOF", "NO", "ONE"});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->problems, testing::Contains(HasSubstr("replica")));
}

TEST_F(RedisPromise, BytesThatAreNotTextComeBackAsABlob) {
  const std::string bytes("\xff\x00\xfe", 3);
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  const OnePhaseReply reply =
      CommitOnePhaseNow(*branch, {{"SET k $1", {{Blob{bytes}}}, {}}, {"GET k", {}, {}}});
  ASSERT_EQ(reply.kind, OnePhaseKind::kCommitted) << reply.reason;
  EXPECT_EQ(reply.results[1].values[0], Value{Blob{bytes}});
}

TEST_F(RedisPromise, YoungerOneWaitsAMomentForALockThatGoesAndNoLonger) {
  // On one connection calls run in order: the younger one meets the lock, then it goes.
  auto made = MakeRedisParticipant({"store", server_->uri(), RedisDurability::kStrict, 1});
  ASSERT_TRUE(made) << made.error().ToString();
  participant_ = std::move(*made);
  int got_through = 0;
  for (int i = 0; i < 20; ++i) {  // the test's own thread may be late now and then
    const Gid older = NewTestGid(), younger = NewTestGid();
    ASSERT_EQ(Prepare(older, {"SET k v"}).kind, VoteKind::kYes);
    auto waiting = participant_->Begin(younger, TestDeadline());
    std::future<PrepareReply> vote = StartPrepare(*waiting, {{"SET k w", {}, {}}});
    EXPECT_EQ(CommitNow(*participant_, older, "").kind, AckKind::kDone);
    if (vote.get().vote.kind == VoteKind::kYes) ++got_through;
    EXPECT_EQ(RollbackNow(*participant_, younger).kind, AckKind::kDone);
  }
  EXPECT_GT(got_through, 0);
  ASSERT_EQ(Prepare(NewTestGid(), {"SET k v"}).kind, VoteKind::kYes);
  const TimePoint started = SystemClock().Now();
  const Vote vote = Prepare(NewTestGid(), {"SET k w"});
  EXPECT_EQ(vote.kind, VoteKind::kNo);
  EXPECT_THAT(vote.reason, HasSubstr("key k is held by"));
  EXPECT_LT(SystemClock().Now() - started, std::chrono::seconds(20));  // of 30
}

TEST_F(RedisPromise, CallbacksEndWithTheParticipantThoughABranchOutlivesIt) {
  const Gid older = NewTestGid();
  ASSERT_EQ(Prepare(NewTestGid(), {"SET k v"}).kind, VoteKind::kYes);
  auto waiting = participant_->Begin(older, TestDeadline());
  std::future<PrepareReply> vote = StartPrepare(*waiting, {{"SET k w", {}, {}}});
  participant_.reset();
  ASSERT_EQ(vote.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_NE(vote.get().vote.kind, VoteKind::kYes);
}

TEST_F(RedisPromise, WorkIsAnsweredThoughItsBranchIsGone) {
  ASSERT_EQ(Prepare(NewTestGid(), {"GET k"}).kind, VoteKind::kReadOnly);  // connected
  std::promise<Result<std::vector<StatementResult>>> answer;
  ASSERT_EQ(kill(server_->pid(), SIGSTOP), 0);
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  branch->Work({{"GET k", {}, {}}}, [&](auto results) { answer.set_value(results); });
  branch.reset();
  // What the branch held may belong to others by now.
  std::vector<std::string> reused(64, std::string(200, 'x'));
  ASSERT_EQ(kill(server_->pid(), SIGCONT), 0);
  const auto results = answer.get_future().get();
  EXPECT_TRUE(results) << results.error().ToString();
}

TEST_F(RedisPromise, LibraryIsLoadedAgainAfterAFunctionFlush) {
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, {"SET k v"}).kind, VoteKind::kYes);
  Say({"FUNCTION", "FLUSH"});
  EXPECT_EQ(CommitNow(*participant_, gid, "").kind, AckKind::kDone);
  EXPECT_EQ(Say({"GET", "k"}), "v");
}

TEST_F(RedisPromise, PrepareThatArrivesAfterItsRollbackIsRefused) {
  const Gid gid = NewTestGid();
  EXPECT_EQ(RollbackNow(*participant_, gid, "").kind, AckKind::kDone);
  EXPECT_EQ(Prepare(gid, {"SET k v"}).kind, VoteKind::kNo);
  ExpectClean();
}

TEST(RedisPreflight, NonDurableServerIsRefusedInStrictAndReportedInRelaxed) {
  ScratchFolder folder("indoubt-redis-preflight");
  auto server = RedisServer::Start(
      folder.path(), {{"appendfsync", "everysec"}, {"maxmemory-policy", "allkeys-lru"}});
  ASSERT_TRUE(server) << server.error().ToString();
  const auto strict = MakeRedis((*server)->uri())->Preflight(TestDeadline());
  ASSERT_TRUE(strict);
  EXPECT_THAT(strict->problems, testing::Contains(HasSubstr("CONFIG SET appendfsync always")));
  EXPECT_THAT(strict->problems, testing::Contains(HasSubstr("noeviction")));
  const auto relaxed =
      MakeRedis((*server)->uri(), RedisDurability::kRelaxed)->Preflight(TestDeadline());
  ASSERT_TRUE(relaxed);
  EXPECT_TRUE(relaxed->problems.empty());
  EXPECT_THAT(relaxed->warnings, testing::Contains(HasSubstr("appendfsync")));
  EXPECT_EQ(
      PrepareNow(*MakeRedis((*server)->uri()), NewTestGid(), {{"SET k v", {}, {}}}).vote.kind,
      VoteKind::kNo);
}

}  // namespace

}  // namespace indoubt
