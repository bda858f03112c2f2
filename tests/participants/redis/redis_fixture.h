// A server of its own for every test, the adapter on it, and a plain client.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "participants/redis/redis_keys.h"
#include "tests/participants/contract_calls.h"
#include "tests/participants/redis/redis_ask.h"

namespace indoubt {

class OwnRedis : public ::testing::Test {
 protected:
  OwnRedis() {
    auto server = RedisServer::Start(folder_.path());
    INDOUBT_CHECK(server.has_value(), server.error().ToString());
    server_ = std::move(*server);
    participant_ = MakeRedis(server_->uri());
  }
  std::string Say(const std::vector<std::string>& command) { return Ask(*server_, command); }
  static std::vector<Statement> Lines(const std::vector<std::string>& lines) {
    std::vector<Statement> statements;
    for (const std::string& line : lines) statements.push_back({line, {}, {}});
    return statements;
  }
  Vote Prepare(const Gid& gid, const std::vector<std::string>& lines) {
    return PrepareNow(*participant_, gid, Lines(lines)).vote;
  }
  /// Prepares and commits; what the commit was answered.
  Ack Through(const std::vector<std::string>& lines) {
    const Gid gid = NewTestGid();
    const Vote vote = Prepare(gid, lines);
    EXPECT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
    return CommitNow(*participant_, gid, vote.token);
  }
  void ExpectClean() {
    EXPECT_EQ(Say({"HLEN", std::string(kRedisPreparedKey)}), "0");
    EXPECT_EQ(Say({"HLEN", std::string(kRedisLocksKey)}), "0");
  }

  ScratchFolder folder_{"indoubt-redis"};
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<Participant> participant_;
};

}  // namespace indoubt
