// An executor of its own behind gRPC on the unix socket that argv[1] names, asked once;
// exit code 0 when its answer came through.
#include <chrono>
#include <cstdio>
#include <future>

#include <indoubt/coordinator/service.h>

namespace {

class Answering : public indoubt::TransactionExecutor {
 public:
  void Execute(indoubt::TransactionRequest request, indoubt::OutcomeCallback done) override {
    indoubt::TransactionOutcome outcome;
    outcome.outcome = indoubt::Outcome::kRolledBack;
    outcome.code = indoubt::StatusCode::kAborted;
    outcome.reason = "heard: " + request.statements.at(0).statement.text;
    done(std::move(outcome));
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  Answering executor;
  const std::string address = std::string("unix:") + argv[1];
  auto server = indoubt::ExecutorServer::Start(executor, address);
  if (!server) {
    std::printf("%s\n", server.error().ToString().c_str());
    return 1;
  }
  const auto client = indoubt::ConnectExecutor(address);
  indoubt::TransactionRequest request;
  request.statements = {{"anybody", {"hello", {}, {}}}};
  std::promise<std::string> reason;
  client->Execute(std::move(request), [&reason](indoubt::TransactionOutcome outcome) {
    reason.set_value(std::move(outcome.reason));
  });
  const std::string said = reason.get_future().get();
  std::printf("%s\n", said.c_str());
  (*server)->Shutdown(std::chrono::seconds(5));
  return said == "heard: hello" ? 0 : 1;
}
