// What a view hears of its EXEC, of which it keeps only what went wrong.
#include "cdc/views/redis_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include "faults/process.h"
#include "faults/servers.h"

namespace indoubt::cdc_internal {
namespace {

using testing::HasSubstr;

class RedisConnectionTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = RedisServer::Start(folder_.path());
    ASSERT_TRUE(server) << server.error().ToString();
    server_ = std::move(*server);
    connection_ = Connect();
    ASSERT_TRUE(connection_);
  }
  std::unique_ptr<RedisConnection> Connect() const {
    auto connection = RedisConnection::Connect(server_->uri());
    EXPECT_TRUE(connection) << connection.error().ToString();
    return connection ? std::move(*connection) : nullptr;
  }
  /// Queues them between MULTI and EXEC; the EXEC's reply is the next.
  void SendTransaction(const std::vector<std::vector<std::string>>& commands) {
    ASSERT_TRUE(connection_->Append({"MULTI"}).ok());
    for (const auto& command : commands) ASSERT_TRUE(connection_->Append(command).ok());
    ASSERT_TRUE(connection_->Append({"EXEC"}).ok());
    for (size_t i = 0; i <= commands.size(); ++i) ASSERT_TRUE(connection_->Receive());
  }
  /// The usual replies are made as ever afterwards.
  void ExpectAnswers() {
    const auto reply = connection_->Ask({"ECHO", "hello"});
    ASSERT_TRUE(reply) << reply.error().ToString();
    EXPECT_EQ(std::string((*reply)->str, (*reply)->len), "hello");
  }

  const ScratchFolder folder_{"indoubt-redis-connection-test"};
  const SigpipeBlocked no_signal_;
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<RedisConnection> connection_;
};

TEST_F(RedisConnectionTest, AnExecWithRepliesOfEveryKindIsDone) {
  SendTransaction({{"SET", "text", "hello"},
                   {"GET", "text"},
                   {"GET", "missing"},
                   {"INCR", "number"},
                   {"RPUSH", "list", "a", "b"},
                   {"LRANGE", "list", "0", "-1"},
                   {"LRANGE", "missing", "0", "-1"}});
  const auto reply = connection_->ReceiveExec();
  ASSERT_TRUE(reply) << reply.error().ToString();
  EXPECT_TRUE(reply->done);
  EXPECT_EQ(reply->refused, "");
  EXPECT_EQ(reply->failed, std::nullopt);
  ExpectAnswers();
}

TEST_F(RedisConnectionTest, AnExecThatDidNothingIsDoneToo) {
  SendTransaction({});
  const auto reply = connection_->ReceiveExec();
  ASSERT_TRUE(reply) << reply.error().ToString();
  EXPECT_TRUE(reply->done);
  ExpectAnswers();
}

TEST_F(RedisConnectionTest, TheFirstCommandOfAnExecThatFailedIsNamed) {
  SendTransaction({{"SET", "text", "hello"},
                   {"INCR", "number"},
                   {"INCR", "text"},
                   {"LPUSH", "text", "x"},
                   {"INCR", "number"}});
  const auto reply = connection_->ReceiveExec();
  ASSERT_TRUE(reply) << reply.error().ToString();
  EXPECT_TRUE(reply->done);
  EXPECT_EQ(reply->failed, 2u);
  EXPECT_THAT(reply->failed_reason, HasSubstr("not an integer"));
  ExpectAnswers();
}

TEST_F(RedisConnectionTest, AnExecOfWhichACommandWasNotQueuedIsRefused) {
  SendTransaction({{"SET", "text", "hello"}, {"NONSENSE"}});
  const auto reply = connection_->ReceiveExec();
  ASSERT_TRUE(reply) << reply.error().ToString();
  EXPECT_FALSE(reply->done);
  EXPECT_THAT(reply->refused, HasSubstr("EXECABORT"));
  ExpectAnswers();
}

TEST_F(RedisConnectionTest, AnExecUnderAWatchedKeyThatHasChangedDidNothing) {
  ASSERT_TRUE(connection_->Ask({"WATCH", "key"}));
  ASSERT_TRUE(Connect()->Ask({"SET", "key", "other"}));
  SendTransaction({{"SET", "key", "mine"}});
  const auto reply = connection_->ReceiveExec();
  ASSERT_TRUE(reply) << reply.error().ToString();
  EXPECT_FALSE(reply->done);
  EXPECT_EQ(reply->refused, "");
  ExpectAnswers();
}

TEST_F(RedisConnectionTest, AnExecWhoseServerDiesIsUnavailable) {
  ASSERT_TRUE(connection_->Append({"MULTI"}).ok());
  ASSERT_TRUE(connection_->Receive());
  server_->Kill();
  ASSERT_TRUE(connection_->Append({"EXEC"}).ok());
  const auto reply = connection_->ReceiveExec();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace indoubt::cdc_internal
