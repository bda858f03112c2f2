// The gRPC edge, with a message from a client that is not ours.
#include "coordinator/service.h"

#include <atomic>
#include <functional>
#include <future>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "participants/result_limit.h"
#include "proto/coordinator.grpc.pb.h"

namespace indoubt {
namespace {

using testing::HasSubstr;

/// Commits everything, and counts.
class CountingExecutor : public TransactionExecutor {
 public:
  void Execute(TransactionRequest, OutcomeCallback done) override {
    ++executed;
    TransactionOutcome outcome;
    outcome.outcome = Outcome::kCommitted;
    done(std::move(outcome));
  }
  std::atomic<int> executed{0};
};

/// Commits with as many results as a transaction may bring back: of those that prepare, and
/// of a last resource as many again.
class LargeExecutor : public TransactionExecutor {
 public:
  void Execute(TransactionRequest, OutcomeCallback done) override {
    TransactionOutcome outcome;
    outcome.outcome = Outcome::kCommitted;
    const std::string text(kMaxResultBytes - sizeof(Value) - sizeof(StatementResult), 'x');
    outcome.results.assign(2, StatementResult{1, {Value{text}}});
    outcome.warnings.assign(100, "a warning goes along with them");
    done(std::move(outcome));
  }
};

TEST(ServiceTest, AllThatATransactionMayBringBackReachesTheClient) {
  LargeExecutor executor;
  auto server = ExecutorServer::Start(executor, "127.0.0.1:0");
  ASSERT_TRUE(server) << server.error().ToString();
  const auto client = ConnectExecutor(fmt::format("127.0.0.1:{}", (*server)->port()));
  std::promise<TransactionOutcome> answer;
  client->Execute({},
                  [&](TransactionOutcome outcome) { answer.set_value(std::move(outcome)); });
  const TransactionOutcome outcome = answer.get_future().get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
  ASSERT_EQ(outcome.results.size(), 2u);
  EXPECT_EQ(SizeInMemory(outcome.results[0]), kMaxResultBytes);
}

TEST(ServiceTest, TimeoutOutOfBoundsIsRefusedBeforeAnybodyIsAsked) {
  CountingExecutor executor;
  auto server = ExecutorServer::Start(executor, "127.0.0.1:0");
  ASSERT_TRUE(server) << server.error().ToString();
  const auto stub = v1::Coordinator::NewStub(grpc::CreateChannel(
      fmt::format("127.0.0.1:{}", (*server)->port()), grpc::InsecureChannelCredentials()));
  const auto execute = [&](int64_t timeout_ns) {
    grpc::ClientContext context;
    v1::ExecuteRequest request;
    v1::ExecuteReply reply;
    request.set_timeout_ns(timeout_ns);
    const grpc::Status status = stub->Execute(&context, request, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  };
  for (const int64_t timeout_ns :
       {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(),
        int64_t{kLongestTimeout.count()} + 1, int64_t{-1}}) {
    const v1::ExecuteReply reply = execute(timeout_ns);
    EXPECT_EQ(reply.outcome(), v1::OUTCOME_ROLLED_BACK) << timeout_ns;
    EXPECT_EQ(reply.code(), ToString(StatusCode::kInvalidArgument)) << timeout_ns;
    EXPECT_THAT(reply.reason(), HasSubstr("at most 10m"));
  }
  EXPECT_EQ(executor.executed, 0);
  EXPECT_EQ(execute(0).outcome(), v1::OUTCOME_COMMITTED);
  EXPECT_EQ(execute(kLongestTimeout.count()).outcome(), v1::OUTCOME_COMMITTED);
}

TEST(ServiceTest, AFieldThatNoRequestMayHaveIsNamedAndNobodyIsAsked) {
  CountingExecutor executor;
  auto server = ExecutorServer::Start(executor, "127.0.0.1:0");
  ASSERT_TRUE(server) << server.error().ToString();
  const auto stub = v1::Coordinator::NewStub(grpc::CreateChannel(
      fmt::format("127.0.0.1:{}", (*server)->port()), grpc::InsecureChannelCredentials()));
  const auto execute = [&](const std::function<void(v1::ExecuteRequest&)>& spoil) {
    grpc::ClientContext context;
    v1::ExecuteRequest request;
    v1::ExecuteReply reply;
    request.add_statements()->add_params()->set_integer(1);
    request.add_statements();
    spoil(request);
    const grpc::Status status = stub->Execute(&context, request, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  };
  const std::vector<std::pair<std::string, std::function<void(v1::ExecuteRequest&)>>> wrong{
      {"statements[0].params[1]: ",
       [](auto& request) { request.mutable_statements(0)->add_params(); }},
      {"statements[1].params[0]: ",
       [](auto& request) {
         auto& list = *request.mutable_statements(1)->add_params()->mutable_list();
         list.add_items()->set_text("one");
         list.add_items();
       }},
      {"answer_when: 7 ",
       [](auto& request) { request.set_answer_when(static_cast<v1::AnswerWhen>(7)); }},
      {"statements[1].expect_rows: is -1",
       [](auto& request) { request.mutable_statements(1)->set_expect_rows(-1); }}};
  for (const auto& [field, spoil] : wrong) {
    const v1::ExecuteReply reply = execute(spoil);
    EXPECT_EQ(reply.outcome(), v1::OUTCOME_ROLLED_BACK) << field;
    EXPECT_EQ(reply.code(), ToString(StatusCode::kInvalidArgument)) << field;
    EXPECT_THAT(reply.reason(), HasSubstr(field));
  }
  EXPECT_EQ(executor.executed, 0);
  const v1::ExecuteReply reply = execute([](auto& request) {
    request.mutable_statements(0)->add_params()->mutable_null();
    request.mutable_statements(0)->add_params()->mutable_list();
    request.mutable_statements(1)->set_expect_rows(0);
  });
  EXPECT_EQ(reply.outcome(), v1::OUTCOME_COMMITTED) << reply.reason();
}

}  // namespace
}  // namespace indoubt
