// What a branch may say to Redis: conditions, expiry, and why a command is refused.
#include "tests/participants/redis/redis_fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using RedisConditions = OwnRedis;

TEST_F(RedisConditions, HoldOrAreANoThatSaysWhatWasFound) {
  Say({"MSET", "n", "5", "big", "9223372036854775807", "text", "abc"});
  Say({"HSET", "h", "f", "7"});
  Say({"ZADD", "z", "1.5", "m"});
  Say({"SADD", "s", "m"});
  for (const char* holds :
       {"REQUIRE n AT LEAST 5", "REQUIRE n at most 5", "REQUIRE n EQUALS 5", "REQUIRE n EXISTS",
        "REQUIRE gone MISSING", "REQUIRE big AT LEAST 9223372036854775807",
        "REQUIRE gone AT MOST 0", "REQUIRE h FIELD f AT LEAST 7", "REQUIRE h FIELD g MISSING",
        "REQUIRE z FIELD m AT LEAST 1.5", "REQUIRE s FIELD m EXISTS", "REQUIRE h EXISTS",
        "REQUIRE text EQUALS \"abc\""}) {
    const Gid gid = NewTestGid();
    const Vote vote = Prepare(gid, {holds});
    EXPECT_EQ(vote.kind, VoteKind::kYes) << holds << ": " << vote.reason;
    EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kDone);
  }
  const std::vector<std::pair<std::string, std::string>> fail{
      {"REQUIRE n AT LEAST 6", "it is 5"},
      {"REQUIRE n AT MOST 4", "it is 5"},
      {"REQUIRE n EQUALS 05", "it is 5"},
      {"REQUIRE gone EXISTS", "it is missing"},
      {"REQUIRE n MISSING", "it is 5"},
      {"REQUIRE gone AT LEAST 1", "it is missing"},
      {"REQUIRE big AT MOST 9223372036854775806", "does not hold"},
      {"REQUIRE h FIELD f EQUALS 8", "it is 7"},
      {"REQUIRE s FIELD x EXISTS", "it is missing"},
      {"REQUIRE text AT LEAST 1", "which is there, is not a number"},
      {"REQUIRE n AT MOST many",
       "'many', which AT LEAST or AT MOST was given, is not a number"},
      {"REQUIRE h AT LEAST 1", "WRONGTYPE"},
      {"REQUIRE n FIELD f EXISTS", "WRONGTYPE"},
      {"REQUIRE n LEAST 1", "syntax"},
      {"REQUIRE n AT EQUALS 5", "syntax"},
      {"REQUIRE n EXISTS 1", "syntax"},
      {"REQUIRE n AT LEAST", "syntax"}};
  for (const auto& [line, reason] : fail) {
    const Vote vote = Prepare(NewTestGid(), {"SET w 1", line});
    EXPECT_EQ(vote.kind, VoteKind::kNo) << line;
    EXPECT_THAT(vote.reason, HasSubstr(reason)) << line;
  }
  EXPECT_EQ(Say({"EXISTS", "w"}), "0");
  ExpectClean();
}

TEST_F(RedisConditions, SeeTheBranchAndHoldTheirKeyUntilTheDecision) {
  Say({"SET", "n", "5"});
  EXPECT_EQ(Prepare(NewTestGid(), {"DECRBY n 5", "REQUIRE n AT LEAST 1"}).kind, VoteKind::kNo);
  const Gid gid = NewTestGid();
  const Vote vote = Prepare(gid, {"REQUIRE n AT LEAST 5"});
  ASSERT_EQ(vote.kind, VoteKind::kYes) << "writes nothing, and yet must hold";
  const Vote other = Prepare(NewTestGid(), {"DECR n"});
  EXPECT_EQ(other.kind, VoteKind::kNo);
  EXPECT_THAT(other.reason, HasSubstr("key n is held by"));
  EXPECT_EQ(CommitNow(*participant_, gid, vote.token).kind, AckKind::kDone);
  EXPECT_EQ(Through({"DECR n"}).kind, AckKind::kDone);
  EXPECT_EQ(Say({"GET", "n"}), "4");
}

using RedisExpiry = OwnRedis;

TEST_F(RedisExpiry, IsFixedAtPrepareAndKeptBySmallChanges) {
  Say({"SET", "kept", "1", "PXAT", "4102444800000"});
  Say({"HSET", "h", "f", "1"});
  Say({"PEXPIREAT", "h", "4102444800000"});
  Say({"SET", "cleared", "1", "EX", "1000"});
  Say({"SET", "persisted", "1", "EX", "1000"});
  EXPECT_EQ(Through({"INCR kept", "HSET h g 2", "SET cleared 2", "PERSIST persisted",
                     "SET fresh v EXAT 4102444800", "EXPIREAT fresh 4102444801"})
                .kind,
            AckKind::kDone);
  EXPECT_EQ(Say({"PEXPIRETIME", "kept"}), "4102444800000");
  EXPECT_EQ(Say({"GET", "kept"}), "2");
  EXPECT_EQ(Say({"PEXPIRETIME", "h"}), "4102444800000");
  EXPECT_EQ(Say({"HGET", "h", "g"}), "2");
  EXPECT_EQ(Say({"TTL", "cleared"}) + Say({"TTL", "persisted"}), "-1-1");
  EXPECT_EQ(Say({"EXPIRETIME", "fresh"}), "4102444801");
}

TEST_F(RedisExpiry, MomentThatPassesWhileInDoubtIsNoInterference) {
  Say({"SET", "s", "1", "PX", "300"});
  Say({"HSET", "h", "f", "1"});
  Say({"PEXPIRE", "h", "300"});
  Say({"RPUSH", "l", "a", "b"});
  Say({"PEXPIRE", "l", "300"});
  const Gid gid = NewTestGid();
  const Vote vote = Prepare(gid, {"INCR s", "HSET h g 2", "LPOP l", "SET kept v PX 1"});
  ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
  while (Say({"EXISTS", "s", "h", "l"}) != "0") {
  }
  const Ack ack = CommitNow(*participant_, gid, vote.token);
  EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
  EXPECT_EQ(Say({"EXISTS", "s", "h", "l", "kept"}), "0");
  ExpectClean();
}

TEST_F(RedisExpiry, MoreTimeIsForStringsOnlyAndADifferentOneMeanwhileIsReported) {
  Say({"HSET", "h", "f", "1"});
  Say({"EXPIRE", "h", "1000"});
  EXPECT_THAT(Prepare(NewTestGid(), {"PERSIST h"}).reason, HasSubstr("only a string"));
  EXPECT_THAT(Prepare(NewTestGid(), {"EXPIRE h 5000"}).reason, HasSubstr("only a string"));
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, {"EXPIRE h 500"}).kind, VoteKind::kYes);
  Say({"PERSIST", "h"});
  const Ack ack = CommitNow(*participant_, gid, "");
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason, HasSubstr("h"));
  EXPECT_NE(Say({"TTL", "h"}), "-1");
}

using RedisLines = OwnRedis;

TEST_F(RedisLines, EveryCommandOfTheServerTakesPartOrIsRefusedWithItsReason) {
  const PlainReply list = PlainRedis(*server_).Send({"COMMAND", "LIST"});
  ASSERT_EQ(list->type, REDIS_REPLY_ARRAY);
  ASSERT_GT(list->elements, 200u);
  int refused = 0;
  for (size_t i = 0; i < list->elements; ++i) {
    const std::string name(list->element[i]->str, list->element[i]->len);
    if (name.find('|') != std::string::npos) continue;  // a subcommand: CONFIG SET
    const Vote vote = Prepare(NewTestGid(), {name});
    EXPECT_EQ(vote.kind, VoteKind::kNo) << name;  // one word is too few for any
    EXPECT_THAT(vote.reason, Not(HasSubstr("it is not known"))) << name;
    if (vote.reason.find("not supported in a transaction: ") != std::string::npos) ++refused;
  }
  EXPECT_GT(refused, 80);
  EXPECT_LT(refused, 160);
  EXPECT_THAT(Prepare(NewTestGid(), {"NOSUCH k"}).reason, HasSubstr("it is not known"));
  ExpectClean();
}

TEST_F(RedisLines, PopsBesideAPushOfAnOutsiderAreReported) {
  Say({"RPUSH", "l", "a", "b", "c"});
  EXPECT_EQ(Through({"LPOP l", "RPOP l", "LPUSH l x"}).kind, AckKind::kDone);
  EXPECT_EQ(Say({"LLEN", "l"}) + Say({"LINDEX", "l", "0"}) + Say({"LINDEX", "l", "1"}), "2xb");
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, {"LPOP l"}).kind, VoteKind::kYes);
  Say({"LPUSH", "l", "foreign"});
  const Ack ack = CommitNow(*participant_, gid, "");
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_EQ(Say({"LLEN", "l"}), "2");
}

TEST_F(RedisLines, CopiesOnWhichRedisComputesAreGoneAndWorkLeavesNothing) {
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  const auto work =
      WorkNow(*branch, Lines({"SETBIT b 7 1", "BITCOUNT b", "PFADD p x y", "PFCOUNT p q",
                              "INCRBYFLOAT f 1.5", "HSET h b 1 a 2", "HVALS h"}));
  ASSERT_TRUE(work) << work.error().ToString();
  EXPECT_EQ(work->at(1).values[0], Value{int64_t{1}});
  EXPECT_EQ(work->at(3).values[0], Value{int64_t{2}});
  EXPECT_EQ(work->at(4).values[0], Value{std::string("1.5")});
  EXPECT_EQ(work->at(6).values[0],
            (Value{std::vector<Value>{{std::string("2")}, {std::string("1")}}}));
  EXPECT_EQ(Say({"DBSIZE"}), "0");
  EXPECT_EQ(PrepareNow(*branch).vote.kind, VoteKind::kYes);
}

}  // namespace
}  // namespace indoubt
