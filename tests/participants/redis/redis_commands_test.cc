// Every command that the library evaluates by itself means what it means in Redis:
// random branches run through the adapter in one database and plainly in another.
#include <cstdlib>
#include <random>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "tests/participants/contract_calls.h"
#include "tests/participants/redis/redis_ask.h"

namespace indoubt {
namespace {

/// {a b} for an array, so that both sides can be compared as text. The library sorts
/// what Redis gives in no order (`unordered`; in groups of `group`).
std::string Show(const Value& value) {
  struct Visitor {
    std::string operator()(std::monostate) const { return "nil"; }
    std::string operator()(bool held) const { return held ? "true" : "false"; }
    std::string operator()(int64_t held) const { return std::to_string(held); }
    std::string operator()(double held) const { return fmt::format("{}", held); }
    std::string operator()(const std::string& held) const { return held; }
    std::string operator()(const Blob& held) const { return held.bytes; }
    std::string operator()(const std::vector<Value>& held) const {
      std::vector<std::string> items;
      items.reserve(held.size());
      for (const Value& item : held) items.push_back(Show(item));
      return fmt::format("{{{}}}", fmt::join(items, " "));
    }
  };
  return std::visit(Visitor{}, value.held);
}

std::string Show(const redisReply& reply, size_t group) {
  if (reply.type == REDIS_REPLY_NIL) return "nil";
  if (reply.type == REDIS_REPLY_INTEGER) return std::to_string(reply.integer);
  if (reply.type != REDIS_REPLY_ARRAY) return std::string(reply.str, reply.len);
  std::vector<std::string> items;
  for (size_t i = 0; i < reply.elements; i += std::max<size_t>(group, 1)) {
    std::string item = Show(*reply.element[i], 0);
    if (group == 2) item += " " + Show(*reply.element[i + 1], 0);
    items.push_back(std::move(item));
  }
  if (group > 0) std::sort(items.begin(), items.end());
  return fmt::format("{{{}}}", fmt::join(items, " "));
}

size_t GroupOf(const std::string& command) {
  static const std::set<std::string> kUnordered{"SMEMBERS", "SINTER", "SUNION", "SDIFF",
                                                "HKEYS"};
  return command == "HGETALL" ? 2 : kUnordered.contains(command) ? 1 : 0;
}

/// Words of commands over few keys and members, so that they meet.
class CommandMaker {
 public:
  explicit CommandMaker(uint64_t seed) : random_(seed) {}
  size_t Below(size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random_);
  }

  std::vector<std::string> Next() {
    static const std::vector<std::string> kShapes{
        "GET K",
        "STRLEN K",
        "MGET K K",
        "SET K V",
        "SET K V NX",
        "SET K V XX",
        "SET K V GET",
        "SET K V GET XX",
        "SETNX K V",
        "MSET K V K V",
        "GETSET K V",
        "GETDEL K",
        "APPEND K V",
        "INCR K",
        "DECR K",
        "INCRBY K N",
        "DECRBY K N",
        "TYPE K",
        "EXISTS K K",
        "DEL K",
        "DEL K K",
        "UNLINK K",
        "HGET K M",
        "HMGET K M M",
        "HGETALL K",
        "HEXISTS K M",
        "HLEN K",
        "HSET K M V",
        "HSET K M V M V",
        "HMSET K M V",
        "HSETNX K M V",
        "HINCRBY K M N",
        "HDEL K M",
        "HDEL K M M",
        "SADD K M",
        "SADD K M M",
        "SREM K M",
        "SREM K M M",
        "SISMEMBER K M",
        "SCARD K",
        "SMEMBERS K",
        "ZADD K F M",
        "ZADD K F M F M",
        "ZADD K NX F M",
        "ZADD K XX CH F M",
        "ZADD K GT CH F M",
        "ZADD K LT F M",
        "ZINCRBY K F M",
        "ZREM K M",
        "ZSCORE K M",
        "ZCARD K",
        "LPUSH K V",
        "LPUSH K V V",
        "RPUSH K V",
        "RPUSH K V V",
        "LPUSHX K V",
        "RPUSHX K V",
        "LLEN K",
        "LRANGE K I I",
        "SETEX @G 1000 V",
        "PSETEX @G 100000 V",
        "SET K V EX 1000",
        "SET K V PXAT 4102444800000 NX",
        "SET K V KEEPTTL",
        "SET K V EX 0",
        "SET K V EX 5 KEEPTTL",
        "GETEX @G EXAT 4102444800",
        "EXPIREAT K 4102444800",
        "PEXPIREAT K 4102444800000 NX",
        "EXPIRE K -1",
        "EXPIREAT K 1 LT",
        "EXPIREAT K 4102444800 GT",
        "EXPIREAT K 4102444800 NX XX",
        "MSETNX K V K V",
        "SETRANGE @G B V",
        "GETRANGE @G I I",
        "INCRBYFLOAT @G F",
        "HINCRBYFLOAT @H M F",
        "HKEYS @H",
        "HSTRLEN @H M",
        "SETBIT @G B 1",
        "SETBIT @G B 0",
        "SETBIT @G B 2",
        "GETBIT @G B",
        "BITCOUNT @G I I",
        "BITPOS @G 1",
        "BITOP AND K @G @G",
        "BITOP XOR K @G @G @G",
        "BITOP NOT K @G",
        "BITFIELD @G SET u8 B 5 INCRBY i5 B 3 GET u4 0",
        "PFADD @G V V",
        "PFADD @G M M",
        "PFMERGE @G @G @G",
        "SMISMEMBER @S M M",
        "SMOVE @S @S M",
        "SINTER @S @S",
        "SUNION @S @S",
        "SDIFF @S @S",
        "SINTERSTORE K @S @S",
        "SUNIONSTORE K @S @S",
        "SDIFFSTORE @S @S @S",
        "ZMSCORE @Z M M",
        "ZRANK @Z M",
        "ZREVRANK @Z M",
        "ZCOUNT @Z F F",
        "ZRANGE @Z I I WITHSCORES",
        "ZRANGE @Z 0 2 REV",
        "ZRANGEBYSCORE @Z -inf (3 LIMIT 0 2",
        "ZREMRANGEBYRANK @Z I I",
        "ZREMRANGEBYSCORE @Z F F",
        "ZREMRANGEBYLEX @Z [m1 [m2",
        "ZPOPMIN @Z",
        "ZPOPMAX @Z 2",
        "ZUNIONSTORE K 2 @Z @Z WEIGHTS 2 1",
        "ZINTERSTORE @Z 2 @Z @Z AGGREGATE MAX",
        "ZDIFFSTORE K 2 @Z @Z",
        "ZUNIONSTORE K 3 @Z @Z",
        "ZRANGESTORE K @Z 0 1",
        "GEOADD @Z 13.361389 38.115556 M",
        "GEOADD @Z NX CH 15.087269 37.502669 M 2.35 48.86 M",
        "GEOADD @Z 200 1 M",
        "GEOPOS @Z M M",
        "GEODIST @Z M M km",
        "LPOP @L",
        "RPOP @L",
        "LPOP @L 2",
        "LPOP @L 5",
        "RPOP @L 3",
        "RPOP @L 0",
        "LINDEX @L I",
        "LPOS @L V",
        "RPOPLPUSH @L @L",
        "LMOVE @L @L RIGHT LEFT",
        "LMOVE @L @L LEFT LEFT",
        "LSET @L I V",
        "LREM @L I V",
        "LTRIM @L I I",
        "LINSERT @L BEFORE V V",
        "LINSERT @L AFTER V V",
        "SET K",
        "HSET K M",
        "ZADD K NX XX F M",
        "ZADD K F"};
    std::vector<std::string> words;
    std::string shape = kShapes[Below(kShapes.size())];
    for (size_t from = 0; from < shape.size();) {
      const size_t to = std::min(shape.find(' ', from), shape.size());
      words.push_back(Word(shape.substr(from, to - from), words.empty() ? "" : words[0]));
      from = to + 1;
    }
    return words;
  }

 private:
  /// Keys have a leaning to one type, else most commands would meet the wrong one.
  std::string Word(const std::string& slot, const std::string& command) {
    static const std::vector<std::string> kNumbers{"1",
                                                   "-1",
                                                   "41",
                                                   "9007199254740993",
                                                   "9223372036854775807",
                                                   "-9223372036854775808",
                                                   "9223372036854775808",
                                                   "1.5",
                                                   "007",
                                                   "+3",
                                                   "x",
                                                   "-0",
                                                   "999999999",
                                                   "-1000000000"};
    static const std::vector<std::string> kScores{"1",    "-2.5", "0.1", "1e3",  "inf",  "-inf",
                                                  "+1.0", "3.3",  "nan", "text", "1e400"};
    if (slot == "K") {
      const char lean = std::string_view("HSZLM").find(command[0]) != std::string_view::npos &&
                                command != "SET" && command != "SETNX" && command[0] != 'M' &&
                                command != "STRLEN"
                            ? command[0] == 'R' ? 'L' : command[0]
                            : "GHSZL"[Below(5)];
      return fmt::format("{}{}", Below(8) == 0 ? "GHSZL"[Below(5)] : lean, Below(2));
    }
    if (slot[0] == '@') return fmt::format("{}{}", Below(9) == 0 ? 'G' : slot[1], Below(2));
    if (slot == "B") return std::to_string(Below(60));
    if (slot == "M") return fmt::format("m{}", Below(4));
    if (slot == "V") return Below(2) == 0 ? kNumbers[Below(kNumbers.size())] : "value";
    if (slot == "N") return kNumbers[Below(kNumbers.size())];
    if (slot == "F") return kScores[Below(kScores.size())];
    if (slot == "I") return std::to_string(static_cast<int>(Below(9)) - 4);
    return slot;
  }

  std::mt19937_64 random_;
};

Statement StatementOf(const std::vector<std::string>& words) {
  Statement statement;
  for (const std::string& word : words) {
    statement.text += fmt::format("${} ", statement.params.size() + 1);
    statement.params.push_back({word});
  }
  return statement;
}

class RedisCommands : public ::testing::Test {
 protected:
  RedisCommands() {
    auto server = RedisServer::Start(folder_.path(), {{"enable-debug-command", "yes"}});
    INDOUBT_CHECK(server.has_value(), server.error().ToString());
    server_ = std::move(*server);
    participant_ = MakeRedis(server_->uri());
    plain_ = std::make_unique<PlainRedis>(*server_);
    managed_ = std::make_unique<PlainRedis>(*server_);
    plain_->Send({"SELECT", "1"});
  }
  /// All that both databases hold, digested by Redis itself.
  std::string Digest(PlainRedis& database) {
    std::string all;
    for (const char type : std::string_view("GHSZL")) {
      for (const char number : std::string_view("01")) {
        const std::string key{type, number};
        const PlainReply digest = database.Send({"DEBUG", "DIGEST-VALUE", key});
        EXPECT_EQ(digest->type, REDIS_REPLY_ARRAY);
        all += Show(*digest, 0) + " ";
      }
    }
    return all;
  }
  /// The branch as adapter and as plain commands; false when the vote was no.
  bool RunBoth(const std::vector<std::vector<std::string>>& commands, bool in_two_phases) {
    std::vector<Statement> statements;
    for (const auto& words : commands) statements.push_back(StatementOf(words));
    const Gid gid = NewTestGid();
    const PrepareReply reply = Run(gid, statements, in_two_phases);
    const VoteKind kind = reply.vote.kind;
    if (kind != VoteKind::kYes && kind != VoteKind::kReadOnly) {
      EXPECT_EQ(kind, VoteKind::kNo);
      // One command is atomic in Redis too: it must refuse, and write nothing.
      if (commands.size() == 1) {
        EXPECT_EQ(plain_->Send(commands[0])->type, REDIS_REPLY_ERROR)
            << fmt::format("{}", fmt::join(commands[0], " ")) << ": " << reply.vote.reason;
      }
      return false;
    }
    for (size_t i = 0; i < commands.size(); ++i) {
      const PlainReply plain = plain_->Send(commands[i]);
      EXPECT_EQ(Show(reply.results.at(i).values.at(0)), Show(*plain, GroupOf(commands[i][0])))
          << fmt::format("{}", fmt::join(commands[i], " "));
    }
    return true;
  }
  PrepareReply Run(const Gid& gid, const std::vector<Statement>& statements, bool two_phases) {
    auto branch = participant_->Begin(gid, TestDeadline());
    if (two_phases) {
      PrepareReply reply = PrepareNow(*branch, statements);
      if (reply.vote.kind == VoteKind::kYes) {
        const Ack ack = CommitNow(*participant_, gid, reply.vote.token);
        EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
      }
      return reply;
    }
    OnePhaseReply end = CommitOnePhaseNow(*branch, statements);
    const bool committed = end.kind == OnePhaseKind::kCommitted;
    return {{committed ? VoteKind::kYes : VoteKind::kNo, "", end.reason},
            std::move(end.results)};
  }

  ScratchFolder folder_{"indoubt-redis-commands"};
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<Participant> participant_;
  std::unique_ptr<PlainRedis> plain_, managed_;
};

TEST_F(RedisCommands, SetKeepsTheMomentOfAKeyOfAnotherTypeToo) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"SADD", "S1", "m"},
        std::vector<std::string>{"EXPIREAT", "S1", "4102444800"},
        std::vector<std::string>{"SET", "S1", "value", "KEEPTTL"}}) {
    EXPECT_TRUE(RunBoth({words}, true)) << words[0];
  }
  EXPECT_EQ(managed_->Send({"PEXPIRETIME", "S1"})->integer, 4102444800000);
  EXPECT_EQ(Digest(*managed_), Digest(*plain_));
}

using Words = std::vector<std::string>;

/// `command` with `count` elements, each of its own kind.
Words PushOf(const std::string& command, int first, int count) {
  Words words{command, "L0"};
  for (int i = 0; i < count; ++i) words.push_back(fmt::format("e{}", first + i));
  return words;
}

TEST_F(RedisCommands, PopsWithACountTakeWhatTheBranchAndRedisHoldInOrder) {
  for (const bool two_phases : {true, false}) {
    // Each branch begins with 50 elements in Redis, and pushes 20 more at each end.
    for (const std::vector<Words>& pops : std::vector<std::vector<Words>>{
             {{"LPOP", "L0", "5"}, {"RPOP", "L0", "5"}},
             {{"LPOP", "L0", "33"}, {"RPOP", "L0", "33"}},
             {{"LPOP", "L0", "80"}, {"RPOP", "L0", "3"}, {"LPOP", "L0", "3"}},
             {{"RPOP", "L0", "80"}, {"LPOP", "L0", "3"}, {"RPOP", "L0", "3"}},
             {{"RPOP", "L0", "25"}, {"LPOP", "L0", "25"}, {"RPOP", "L0"}, {"LPOP", "L0", "30"}},
             {{"LPOP", "L0", "90"}, {"RPUSH", "L0", "again"}, {"RPOP", "L0", "2"}},
             {{"RPOP", "L0", "9223372036854775807"}, {"LPOP", "L0", "1"}},
             {{"LPOP", "L0", "0"},
              {"LPOP", "L0", "22"},
              {"RPUSH", "L0", "x"},
              {"LPUSH", "L0", "y"},
              {"LRANGE", "L0", "0", "-1"},
              {"RPOP", "L0", "60"}}}) {
      SCOPED_TRACE(fmt::format("{}", fmt::join(pops.back(), " ")));
      ASSERT_TRUE(RunBoth({{"DEL", "L0"}, PushOf("RPUSH", 0, 50)}, true));
      std::vector<Words> commands{PushOf("LPUSH", 100, 20), PushOf("RPUSH", 200, 20)};
      commands.insert(commands.end(), pops.begin(), pops.end());
      ASSERT_TRUE(RunBoth(commands, two_phases));
      EXPECT_EQ(Digest(*managed_), Digest(*plain_));
    }
  }
}

TEST_F(RedisCommands, APopOfManyElementsAsksRedisForThemAtOnceAndHasABound) {
  constexpr int kMost = 100'000;
  for (int i = 0; i < 2 * kMost; i += kMost / 10) {
    ASSERT_TRUE(RunBoth({PushOf("RPUSH", i, kMost / 10)}, true));
  }
  const auto pop = [this](const std::string& command, int count) {
    return Run(NewTestGid(), {StatementOf({command, "L0", std::to_string(count)})}, true);
  };
  for (const char* command : {"LPOP", "RPOP"}) {
    const PrepareReply refused = pop(command, kMost + 1);
    EXPECT_EQ(refused.vote.kind, VoteKind::kNo);
    EXPECT_NE(refused.vote.reason.find("at most 100000 elements"), std::string::npos)
        << refused.vote.reason;
  }
  EXPECT_EQ(managed_->Send({"LLEN", "L0"})->integer, 2 * kMost);
  managed_->Send({"CONFIG", "RESETSTAT"});
  ASSERT_TRUE(RunBoth({{"RPOP", "L0", std::to_string(kMost - 1)}}, true));
  const std::string calls = Show(*managed_->Send({"INFO", "commandstats"}), 0);
  EXPECT_EQ(calls.find("cmdstat_lindex"), std::string::npos) << "one by one: " << calls;
  EXPECT_EQ(Digest(*managed_), Digest(*plain_));
  ASSERT_TRUE(RunBoth({{"LPOP", "L0", std::to_string(kMost)}}, false));
  EXPECT_EQ(managed_->Send({"LRANGE", "L0", "0", "-1"})->elements, 1u);
  // A larger count is no matter where the list is short.
  ASSERT_TRUE(RunBoth({{"LPOP", "L0", std::to_string(10 * kMost)}}, true));
  EXPECT_EQ(managed_->Send({"EXISTS", "L0"})->integer, 0);
}

TEST_F(RedisCommands, MeanWhatTheyMeanInRedis) {
  // INDOUBT_SEED repeats a run.
  const char* given = std::getenv("INDOUBT_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  CommandMaker maker(seed);
  int yes = 0, no = 0;
  for (int round = 0; round < 3000 && !HasFailure(); ++round) {
    std::vector<std::vector<std::string>> commands(maker.Below(3) == 0 ? 1 + maker.Below(8)
                                                                       : 1);
    for (auto& command : commands) command = maker.Next();
    (RunBoth(commands, maker.Below(2) == 0) ? yes : no)++;
    std::string said;
    for (const auto& words : commands) said += fmt::format("\n  {}", fmt::join(words, " "));
    ASSERT_EQ(Digest(*managed_), Digest(*plain_)) << "after round " << round << ":" << said;
  }
  EXPECT_GT(yes, 200);
  EXPECT_GT(no, 100);
}

}  // namespace
}  // namespace indoubt
