// Where the gRPC edge listens and connects: slow links, servers that are not there, and unix
// sockets that somebody has already.
#include <filesystem>
#include <fstream>
#include <future>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "coordinator/execute_service.h"
#include "coordinator/service.h"
#include "faults/process.h"
#include "faults/proxy.h"

namespace indoubt {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CommittingExecutor : public TransactionExecutor {
 public:
  void Execute(TransactionRequest, OutcomeCallback done) override {
    TransactionOutcome outcome;
    outcome.outcome = Outcome::kCommitted;
    done(std::move(outcome));
  }
};

TransactionOutcome Ask(TransactionExecutor& client) {
  std::promise<TransactionOutcome> answer;
  client.Execute({}, [&](TransactionOutcome outcome) { answer.set_value(std::move(outcome)); });
  return answer.get_future().get();
}

/// A TCP or unix socket that is bound and, as asked for, listens; it never accepts.
class MuteSocket {
 public:
  static MuteSocket Tcp(bool listens) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return MuteSocket(reinterpret_cast<sockaddr*>(&address), sizeof address, listens);
  }
  static MuteSocket Unix(const std::string& path, bool listens) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return MuteSocket(reinterpret_cast<sockaddr*>(&address), sizeof address, listens);
  }
  MuteSocket(const MuteSocket&) = delete;
  MuteSocket& operator=(const MuteSocket&) = delete;
  ~MuteSocket() { close(fd_); }
  std::string tcp_address() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    return fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
  }

 private:
  MuteSocket(const sockaddr* address, socklen_t size, bool listens)
      : fd_(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(bind(fd_, address, size), 0);
    if (!listens) return;
    EXPECT_EQ(listen(fd_, 8), 0);
  }
  const int fd_;
};

TEST(ServiceAddress, AServerBehindASlowLinkIsReached) {
  CommittingExecutor executor;
  auto server = ExecutorServer::Start(executor, "127.0.0.1:0");
  ASSERT_TRUE(server) << server.error().ToString();
  auto proxy = Proxy::Start({.listen = "tcp:127.0.0.1:0",
                             .server = fmt::format("tcp:127.0.0.1:{}", (*server)->port())});
  ASSERT_TRUE(proxy) << proxy.error().ToString();
  for (const Direction direction : {Direction::kToServer, Direction::kToClient}) {
    (*proxy)->SetConditions(direction, {.latency = std::chrono::milliseconds(150)});
  }
  const auto client = ConnectExecutor((*proxy)->address().substr(4), std::chrono::seconds(30));
  const TransactionOutcome outcome = Ask(*client);
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
}

TEST(ServiceAddress, NobodyThereIsSaidWithTheAddressAndARemedy) {
  const MuteSocket taken = MuteSocket::Tcp(/*listens=*/false);
  // Far more time than the test has: it is not waited for.
  const auto client = ConnectExecutor(taken.tcp_address(), std::chrono::minutes(10));
  const TransactionOutcome outcome = Ask(*client);
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_EQ(outcome.code, StatusCode::kUnavailable);
  EXPECT_THAT(outcome.reason,
              AllOf(HasSubstr("at " + taken.tcp_address()), HasSubstr("nothing was sent"),
                    HasSubstr("refused"), HasSubstr("is `indoubt serve` running there?")));
}

TEST(ServiceAddress, AServerThatSaysNothingIsGivenUpAfterTheLimit) {
  const MuteSocket mute = MuteSocket::Tcp(/*listens=*/true);
  const auto client = ConnectExecutor(mute.tcp_address(), std::chrono::milliseconds(200));
  const TransactionOutcome outcome = Ask(*client);
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack) << "nothing was sent";
  EXPECT_EQ(outcome.code, StatusCode::kUnavailable);
  EXPECT_GE(outcome.elapsed, std::chrono::milliseconds(190));
  EXPECT_THAT(outcome.reason,
              AllOf(HasSubstr(mute.tcp_address()), HasSubstr("allow a longer timeout")));
}

TEST(ServiceAddress, AnAddressThatSaysNothingToAnybodyIsNotShown) {
  const ScratchFolder folder("service_address");
  const std::string address = "unix:" + folder.path() + "/here";
  const auto client = MakeExecutorOn(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()), address, "the log");
  const TransactionOutcome outcome = Ask(*client);
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_THAT(outcome.reason, AllOf(HasSubstr("the log"), Not(HasSubstr("/here"))));
}

class ServiceSocket : public testing::Test {
 protected:
  Result<std::unique_ptr<ExecutorServer>> Serve() {
    return ExecutorServer::Start(executor_, "unix:" + path_);
  }
  std::string Answer() {
    const TransactionOutcome outcome = Ask(*ConnectExecutor("unix:" + path_));
    return outcome.outcome == Outcome::kCommitted ? "committed" : outcome.reason;
  }
  /// What lies in the folder.
  std::set<std::string> Files() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      names.insert(entry.path().filename());
    }
    return names;
  }

  const ScratchFolder folder_{"service_socket"};
  const std::string path_ = folder_.path() + "/a 50% socket";
  CommittingExecutor executor_;
};

TEST_F(ServiceSocket, IsNotTakenFromAServerThatListens) {
  auto first = Serve();
  ASSERT_TRUE(first) << first.error().ToString();
  for (int i = 0; i < 2; ++i) {
    const auto second = Serve();
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), StatusCode::kUnavailable);
    EXPECT_THAT(second.error().message(), AllOf(HasSubstr(path_), HasSubstr("in use")));
    EXPECT_EQ(Answer(), "committed") << "the first one is still there";
  }
  (*first)->Shutdown(std::chrono::seconds(5));
  EXPECT_EQ(Files(), std::set<std::string>{});
  EXPECT_TRUE(Serve()) << "it is free";
}

TEST_F(ServiceSocket, IsNotTakenFromAnotherProgramThatListens) {
  const MuteSocket other = MuteSocket::Unix(path_, /*listens=*/true);
  const auto served = Serve();
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Files(), std::set<std::string>{"a 50% socket"});
}

TEST_F(ServiceSocket, IsNotTakenWhileAnotherServerBeginsTo) {
  const int lock = open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  const auto served = Serve();
  EXPECT_FALSE(served);
  close(lock);
  EXPECT_TRUE(Serve()) << "a lock file that a killed server left is in nobody's way";
}

TEST_F(ServiceSocket, LeftByAKilledServerIsTakenOver) {
  { const MuteSocket left = MuteSocket::Unix(path_, /*listens=*/true); }
  ASSERT_EQ(Files(), std::set<std::string>{"a 50% socket"});
  auto served = Serve();
  ASSERT_TRUE(served) << served.error().ToString();
  EXPECT_EQ(Answer(), "committed");
}

TEST_F(ServiceSocket, IsNoFileOfAnotherKind) {
  std::ofstream(path_) << "precious";
  auto served = Serve();
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().code(), StatusCode::kUnavailable);
  EXPECT_THAT(served.error().message(), HasSubstr("no socket"));
  EXPECT_EQ(Files(), std::set<std::string>{"a 50% socket"});
  EXPECT_EQ(std::filesystem::file_size(path_), 8u);
}

TEST_F(ServiceSocket, HasAPathThatASocketCanBear) {
  const auto served = ExecutorServer::Start(executor_, "unix:/" + std::string(120, 'a'));
  ASSERT_FALSE(served);
  EXPECT_THAT(served.error().message(), HasSubstr("at most 107 bytes"));
}

}  // namespace
}  // namespace indoubt
