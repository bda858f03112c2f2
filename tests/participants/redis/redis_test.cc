// Redis passes the contract on a real server, and keeps its yes where Redis itself
// would not.
#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "faults/servers.h"
#include "participants/redis/redis_keys.h"
#include "participants/redis/redis_participant.h"
#include "tests/participants/contract_suite.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

std::string Ask(const RedisServer& server, const std::vector<std::string>& command) {
  const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
      redisConnectUnix(server.socket_path().c_str()), redisFree);
  std::vector<const char*> argv;
  std::vector<size_t> lengths;
  for (const std::string& word : command) {
    argv.push_back(word.data());
    lengths.push_back(word.size());
  }
  const std::unique_ptr<void, void (*)(void*)> raw(
      redisCommandArgv(context.get(), static_cast<int>(argv.size()), argv.data(),
                       lengths.data()),
      freeReplyObject);
  const auto* reply = static_cast<redisReply*>(raw.get());
  if (reply == nullptr) return "error: no connection";
  if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
  return reply->str == nullptr ? "" : std::string(reply->str, reply->len);
}

std::unique_ptr<Participant> Make(const std::string& uri,
                                  RedisDurability durability = RedisDurability::kStrict) {
  auto made = MakeRedisParticipant({"store", uri, durability, 2});
  INDOUBT_CHECK(made.has_value(), made.error().ToString());
  return std::move(*made);
}

class RedisContractStore final : public ContractStore {
 public:
  RedisContractStore() {
    auto server = RedisServer::Start(folder_.path());
    INDOUBT_CHECK(server.has_value(), server.error().ToString());
    server_ = std::move(*server);
  }
  Status Reset() override {
    if (server_->pid() < 0) INDOUBT_RETURN_IF_ERROR(server_->Restart());
    Ask(*server_, {"FLUSHALL"});
    Ask(*server_, {"MSET", "a", "100", "b", "100"});
    return Status::Ok();
  }
  std::unique_ptr<Participant> MakeParticipant() override { return Make(server_->uri()); }
  std::unique_ptr<Participant> MakeUnreachable() override {
    return Make("unix://" + folder_.path() + "/missing.sock");
  }
  void KillServer() override { server_->Kill(); }
  Status RestartServer() override { return server_->Restart(); }
  Statement Add(const std::string& name, int64_t amount) override {
    return {"INCRBY $1 $2", {{name}, {amount}}, {}};
  }
  Statement Insert(const std::string& name, int64_t value) override {
    return {"SET $1 $2 NX", {{name}, {value}}, 1};
  }
  Statement Read(const std::string& name) override { return {"GET $1", {{name}}, {}}; }
  Failing MakeFailing() override { return {{"LPUSH a x", {}, {}}, "WRONGTYPE"}; }
  Statement TouchesNotSeven() override { return {"INCR a", {}, {}}; }
  std::optional<int64_t> Look(const std::string& name) override {
    const std::string text = Ask(*server_, {"GET", name});
    return text.empty() ? std::nullopt : std::optional<int64_t>(std::stoll(text));
  }
  /// A cooperative client: it looks at the locks first.
  bool OutsideWrite(const std::string& name, int64_t value) override {
    const std::string reply =
        Ask(*server_, {"EVAL",
                       "if redis.call('HEXISTS', KEYS[2], KEYS[1]) == 1 then return 0 end "
                       "redis.call('SET', KEYS[1], ARGV[1]) return 1",
                       "2", name, std::string(kRedisLocksKey), std::to_string(value)});
    return reply == "1";
  }
  void LeaveForeignBranch() override {
    Ask(*server_, {"HSET", std::string(kRedisPreparedKey), "another program", "x"});
  }
  bool ForeignBranchIsThere() override {
    return Ask(*server_, {"HEXISTS", std::string(kRedisPreparedKey), "another program"}) == "1";
  }

 private:
  ScratchFolder folder_{"indoubt-redis-contract"};
  std::unique_ptr<RedisServer> server_;
};

std::unique_ptr<ContractStore> MakeRedisContractStore() {
  return std::make_unique<RedisContractStore>();
}

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
    Say({"FLUSHALL"});
    participant_ = Make(server_->uri());
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
      {"SET k", "arguments"},         {"SET k v EX 5", "TTL"},    {"INCR ttl", "expires"},
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
  const auto strict = Make((*server)->uri())->Preflight(TestDeadline());
  ASSERT_TRUE(strict);
  EXPECT_THAT(strict->problems, testing::Contains(HasSubstr("CONFIG SET appendfsync always")));
  EXPECT_THAT(strict->problems, testing::Contains(HasSubstr("noeviction")));
  const auto relaxed =
      Make((*server)->uri(), RedisDurability::kRelaxed)->Preflight(TestDeadline());
  ASSERT_TRUE(relaxed);
  EXPECT_TRUE(relaxed->problems.empty());
  EXPECT_THAT(relaxed->warnings, testing::Contains(HasSubstr("appendfsync")));
  EXPECT_EQ(PrepareNow(*Make((*server)->uri()), NewTestGid(), {{"SET k v", {}, {}}}).vote.kind,
            VoteKind::kNo);
}

}  // namespace

INDOUBT_INSTANTIATE_CONTRACT(Redis, MakeRedisContractStore);

}  // namespace indoubt
