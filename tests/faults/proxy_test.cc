// The proxy, between a client and a server that echoes lines: what it lets through when
// nothing is asked of it, and what each fault does to which side.
#include "faults/proxy.h"

#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "faults/process.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

constexpr auto kLong = std::chrono::seconds(20);

/// What a socket gives next.
struct Heard {
  std::string bytes;
  bool ended = false;  // an orderly end
  bool reset = false;
};

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  bool Send(const std::string& bytes) {
    return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  /// Up to `size` bytes, or fewer when it ends, or nothing comes for `patience`.
  Heard Hear(size_t size, Duration patience = kLong) {
    Heard heard;
    while (heard.bytes.size() < size) {
      pollfd wait{fd_, POLLIN, 0};
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
      if (poll(&wait, 1, static_cast<int>(ms)) <= 0) return heard;
      char buffer[4096];
      const ssize_t got = recv(fd_, buffer, std::min(sizeof buffer, size), 0);
      heard.ended = got == 0;
      heard.reset = got < 0 && errno == ECONNRESET;
      if (got <= 0) return heard;
      ++reads_;
      heard.bytes.append(buffer, static_cast<size_t>(got));
    }
    return heard;
  }
  int reads() const { return reads_; }

 private:
  int fd_;
  int reads_ = 0;
};

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}
sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

/// Runs each test over TCP and over unix sockets.
class ProxyTest : public testing::TestWithParam<bool> {
 protected:
  static bool Tcp() { return GetParam(); }

  void SetUp() override {
    listener_ = Socket(socket(Tcp() ? AF_INET : AF_UNIX, SOCK_STREAM, 0));
    std::string server;
    if (Tcp()) {
      sockaddr_in address = Loopback(0);
      socklen_t size = sizeof address;
      ASSERT_EQ(bind(listener_.fd(), reinterpret_cast<sockaddr*>(&address), size), 0);
      ASSERT_EQ(getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size), 0);
      server = "tcp:127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    } else {
      const sockaddr_un address = UnixAddress(folder_.path() + "/server");
      ASSERT_EQ(
          bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
      server = "unix:" + folder_.path() + "/server";
    }
    ASSERT_EQ(listen(listener_.fd(), 16), 0);
    const std::string listen = Tcp() ? "tcp:127.0.0.1:0" : "unix:" + folder_.path() + "/proxy";
    auto proxy = Proxy::Start({.listen = listen, .server = server});
    ASSERT_TRUE(proxy) << proxy.error().ToString();
    proxy_ = std::move(*proxy);
  }

  Socket Dial() {
    Socket client(socket(Tcp() ? AF_INET : AF_UNIX, SOCK_STREAM, 0));
    const std::string& at = proxy_->address();
    if (Tcp()) {
      const sockaddr_in to = Loopback(std::stoi(at.substr(at.rfind(':') + 1)));
      EXPECT_EQ(connect(client.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    } else {
      const sockaddr_un to = UnixAddress(at.substr(5));
      EXPECT_EQ(connect(client.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    }
    return client;
  }
  Socket Accept() { return Socket(accept(listener_.fd(), nullptr, nullptr)); }

  struct Pair {
    Socket client, server;
  };
  Pair Connect() {
    Socket client = Dial();
    Socket server = Accept();
    return {std::move(client), std::move(server)};
  }
  /// One request and its reply, both whole.
  static void ExpectExchange(Pair& pair, const std::string& text) {
    ASSERT_TRUE(pair.client.Send(text));
    EXPECT_EQ(pair.server.Hear(text.size()).bytes, text);
    ASSERT_TRUE(pair.server.Send(text));
    EXPECT_EQ(pair.client.Hear(text.size()).bytes, text);
  }
  bool Struck() { return proxy_->AwaitStrike(SystemClock().Now() + kLong).has_value(); }

  ScratchFolder folder_{"indoubt-proxy-test"};
  Socket listener_{-1};
  std::unique_ptr<Proxy> proxy_;
};

TEST_P(ProxyTest, HandsOnEverythingAndTheEndsOfBothSides) {
  Pair pair = Connect();
  std::string much;
  for (int i = 0; i < 200'000; ++i) much += std::to_string(i);
  std::thread sender([&] {
    EXPECT_TRUE(pair.client.Send(much));
    shutdown(pair.client.fd(), SHUT_WR);
  });
  const Heard heard = pair.server.Hear(much.size() + 1);
  sender.join();
  EXPECT_TRUE(heard.bytes == much);
  EXPECT_TRUE(heard.ended);
  EXPECT_TRUE(pair.server.Send("and back"));  // one side's end leaves the other open
  EXPECT_EQ(pair.client.Hear(8).bytes, "and back");
  pair.server = Socket(-1);
  EXPECT_TRUE(pair.client.Hear(1).ended);
  EXPECT_TRUE(Eventually([&] { return proxy_->connections() == 0; }));
}

TEST_P(ProxyTest, AReaderWhoReadsNothingFillsNoMemory) {
  Pair pair = Connect();
  const std::string chunk(1 << 16, 'x');
  size_t sent = 0;
  // What the sockets' buffers and the proxy's 256 KiB do not take stays with the sender.
  for (;;) {
    pollfd room{pair.client.fd(), POLLOUT, 0};
    if (poll(&room, 1, 200) == 0) break;
    const ssize_t taken =
        send(pair.client.fd(), chunk.data(), chunk.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ASSERT_GT(taken, 0);
    sent += static_cast<size_t>(taken);
    ASSERT_LT(sent, 64u << 20);
  }
  EXPECT_GT(sent, 256u << 10);
}

TEST_P(ProxyTest, CutsAtTheChosenReply) {
  Pair pair = Connect();
  proxy_->Arm({.direction = Direction::kToClient, .turn = 3});
  ExpectExchange(pair, "one");
  ExpectExchange(pair, "two");
  EXPECT_FALSE(proxy_->strike());
  ASSERT_TRUE(pair.client.Send("three"));
  EXPECT_EQ(pair.server.Hear(5).bytes, "three");  // done, and never told
  ASSERT_TRUE(pair.server.Send("done"));
  const Heard heard = pair.client.Hear(4);
  EXPECT_EQ(heard.bytes, "");
  EXPECT_TRUE(heard.ended);
  EXPECT_TRUE(pair.server.Hear(1).ended);
  ASSERT_TRUE(Struck());
  EXPECT_GE(proxy_->strike()->struck_at, proxy_->strike()->armed_at);
  Pair other = Connect();
  ExpectExchange(other, "a trigger strikes once");
}

TEST_P(ProxyTest, CutsAtTheChosenRequestWhichTheServerNeverSees) {
  Pair pair = Connect();
  proxy_->Arm({.direction = Direction::kToServer, .turn = 2});
  ExpectExchange(pair, "one");
  ASSERT_TRUE(pair.client.Send("two"));
  const Heard heard = pair.server.Hear(1);
  EXPECT_EQ(heard.bytes, "");
  EXPECT_TRUE(heard.ended);
  EXPECT_TRUE(pair.client.Hear(1).ended || Tcp());
}

TEST_P(ProxyTest, TearsAReplyAfterItsFirstBytes) {
  Pair pair = Connect();
  proxy_->Arm({.direction = Direction::kToClient, .turn = 1, .after_bytes = 2});
  ASSERT_TRUE(pair.client.Send("ask"));
  EXPECT_EQ(pair.server.Hear(3).bytes, "ask");
  ASSERT_TRUE(pair.server.Send("reply"));
  const Heard heard = pair.client.Hear(5);
  EXPECT_EQ(heard.bytes, "re");
  EXPECT_TRUE(heard.ended);
}

TEST_P(ProxyTest, CutsAfterAnyNumberOfBytes) {
  for (size_t bytes = 0; bytes < 12; ++bytes) {
    SCOPED_TRACE(bytes);
    Pair pair = Connect();
    proxy_->Arm({.direction = Direction::kToServer, .turn = 0, .after_bytes = bytes});
    ASSERT_TRUE(pair.client.Send("0123456789ab"));
    const Heard heard = pair.server.Hear(12);
    EXPECT_EQ(heard.bytes, std::string("0123456789ab").substr(0, bytes));
    EXPECT_TRUE(heard.ended);
  }
}

TEST_P(ProxyTest, CountsOnlyRequestsThatContainTheText) {
  Pair pair = Connect();
  proxy_->Arm({.direction = Direction::kToClient, .turn = 2, .containing = "COMMIT"});
  for (const char* text : {"BEGIN", "COMMIT 1", "BEGIN again"}) ExpectExchange(pair, text);
  ASSERT_TRUE(pair.client.Send("COMMIT 2"));
  EXPECT_EQ(pair.server.Hear(8).bytes, "COMMIT 2");
  ASSERT_TRUE(pair.server.Send("done"));
  EXPECT_TRUE(pair.client.Hear(4).ended);
  EXPECT_TRUE(Struck());
}

TEST_P(ProxyTest, ResetsWhereThereAreResets) {
  Pair pair = Connect();
  proxy_->Arm({.direction = Direction::kToClient, .action = ProxyAction::kReset});
  ASSERT_TRUE(pair.client.Send("ask"));
  EXPECT_EQ(pair.server.Hear(3).bytes, "ask");
  ASSERT_TRUE(pair.server.Send("reply"));
  const Heard heard = pair.client.Hear(5);
  EXPECT_EQ(heard.bytes, "");
  EXPECT_TRUE(Tcp() ? heard.reset : heard.ended);
}

TEST_P(ProxyTest, AHalfOpenConnectionHearsNothingAndOthersGoOn) {
  Pair pair = Connect();
  ExpectExchange(pair, "one");
  proxy_->Arm({.direction = Direction::kToClient, .action = ProxyAction::kHalfOpen});
  ASSERT_TRUE(pair.client.Send("two"));
  EXPECT_EQ(pair.server.Hear(3).bytes, "two");
  ASSERT_TRUE(pair.server.Send("lost"));
  ASSERT_TRUE(Struck());
  Pair other = Connect();
  ExpectExchange(other, "another one");
  ASSERT_TRUE(pair.client.Send("three"));
  pair.server = Socket(-1);  // not even its end is heard
  const Heard silent = pair.client.Hear(1, std::chrono::milliseconds(100));
  EXPECT_EQ(silent.bytes, "");
  EXPECT_FALSE(silent.ended || silent.reset);
  proxy_->Heal();
  const Heard healed = pair.client.Hear(1);
  EXPECT_TRUE(healed.ended || healed.reset);
  ExpectExchange(other, "and on");
}

TEST_P(ProxyTest, WhatIsHeldArrivesAtItsReleaseAlsoWhenTheSenderHasGone) {
  Pair pair = Connect();
  proxy_->Arm({.direction = Direction::kToServer, .action = ProxyAction::kHold});
  ASSERT_TRUE(pair.client.Send("late"));
  ASSERT_TRUE(Struck());
  pair.client = Socket(-1);
  EXPECT_EQ(pair.server.Hear(4, std::chrono::milliseconds(100)).bytes, "");
  proxy_->Release();
  EXPECT_EQ(pair.server.Hear(4).bytes, "late");
  EXPECT_TRUE(pair.server.Hear(1).ended);
}

TEST_P(ProxyTest, OneByteSlicesEachDirectionApart) {
  Pair pair = Connect();
  // Slow enough that they do not all grow together again in the reader's buffer, also when the
  // reader gets no processor for some 20 ms at a time; without slices one read hears all.
  proxy_->SetConditions(Direction::kToServer, {.bytes_per_second = 2'000, .slice = 1});
  ExpectExchange(pair, std::string(500, 's'));
  EXPECT_GT(pair.server.reads(), 10);
  EXPECT_LE(pair.client.reads(), 3);
}

TEST_P(ProxyTest, LatencyAndBandwidthTakeAtLeastTheirTime) {
  Pair pair = Connect();
  const auto took = [&] {
    const TimePoint began = SystemClock().Now();
    ExpectExchange(pair, std::string(1000, 'b'));
    return SystemClock().Now() - began;
  };
  proxy_->SetConditions(Direction::kToClient, {.latency = std::chrono::milliseconds(50),
                                               .jitter = std::chrono::milliseconds(20)});
  EXPECT_GE(took(), std::chrono::milliseconds(50));
  proxy_->Heal();
  proxy_->SetConditions(Direction::kToServer, {.bytes_per_second = 10'000});
  EXPECT_GE(took(), std::chrono::milliseconds(100));
}

TEST_P(ProxyTest, JitterKeepsTheOrder) {
  Pair pair = Connect();
  proxy_->SetConditions(Direction::kToServer, {.jitter = std::chrono::milliseconds(5)});
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string piece = std::to_string(i) + " ";
    ASSERT_TRUE(pair.client.Send(piece));
    all += piece;
  }
  EXPECT_EQ(pair.server.Hear(all.size()).bytes, all);
}

TEST_P(ProxyTest, RefusesUntilItIsHealed) {
  proxy_->Refuse(true);
  Socket refused = Dial();
  const Heard heard = refused.Hear(1);
  EXPECT_TRUE(heard.ended || heard.reset);
  proxy_->Heal();
  Pair pair = Connect();
  ExpectExchange(pair, "open again");
  proxy_->StrikeAll(ProxyAction::kCut);
  EXPECT_TRUE(pair.client.Hear(1).ended);
  EXPECT_TRUE(pair.server.Hear(1).ended);
}

TEST_P(ProxyTest, WithoutAServerTheClientHearsAnEnd) {
  listener_ = Socket(-1);
  if (!Tcp()) unlink((folder_.path() + "/server").c_str());
  Socket client = Dial();
  const Heard heard = client.Hear(1);
  EXPECT_TRUE(heard.ended || heard.reset);
}

TEST(ProxyAddress, AWrongOneIsAnErrorThatNamesIt) {
  for (const char* wrong : {"", "nonsense", "unix:relative", "tcp:127.0.0.1", "tcp:here:1",
                            "tcp:127.0.0.1:99999", "tcp:127.0.0.1:"}) {
    const auto proxy = Proxy::Start({.listen = wrong, .server = "tcp:127.0.0.1:1"});
    ASSERT_FALSE(proxy) << wrong;
    EXPECT_EQ(proxy.error().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(proxy.error().message(), testing::HasSubstr(wrong));
  }
  EXPECT_EQ(
      Proxy::Start({.listen = "unix:/missing/folder/s", .server = "unix:/x"}).error().code(),
      StatusCode::kIoError);
}

INSTANTIATE_TEST_SUITE_P(Over, ProxyTest, testing::Values(true, false),
                         [](const auto& parameter) {
                           return parameter.param ? "Tcp" : "Unix";
                         });

}  // namespace
}  // namespace indoubt
