#include <future>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "experiments/stores/store_clients.h"
#include "faults/process.h"

namespace indoubt {
namespace {

/// Accepts connections where PostgreSQL would, and never says a word.
class MuteServer {
 public:
  explicit MuteServer(const std::string& folder)
      : socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder + "/.s.PGSQL.5432").copy(address.sun_path, sizeof address.sun_path - 1);
    listening_ =
        bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        listen(socket_, 8) == 0;
  }
  ~MuteServer() { Close(); }
  bool listening() const { return listening_; }
  /// Whoever waits in the backlog is turned away.
  void Close() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }

 private:
  int socket_;
  bool listening_ = false;
};

TEST(PostgresClient, AServerThatNeverAnswersIsUnavailableWithinTheLimit) {
  ScratchFolder folder("indoubt-client-test");
  MuteServer server(folder.path());
  ASSERT_TRUE(server.listening());
  std::promise<void> connected;
  bool waited_too_long = false;
  std::thread rescue([&, ended = connected.get_future()] {
    waited_too_long = ended.wait_for(std::chrono::seconds(15)) != std::future_status::ready;
    server.Close();
  });
  const auto client =
      PostgresClient::Connect("host=" + folder.path() + " user=u", std::chrono::seconds(2));
  connected.set_value();
  rescue.join();
  EXPECT_FALSE(waited_too_long);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), StatusCode::kUnavailable);
}

TEST(PostgresClient, ShowsNothingOfAConnectionStringThatItCannotParse) {
  const auto client = PostgresClient::Connect("host=x hunter2", std::chrono::seconds(2));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(client.error().message().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace indoubt
