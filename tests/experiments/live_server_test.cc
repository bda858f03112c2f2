#include "experiments/live/live_server.h"

#include <atomic>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/live/live_stream.h"
#include "tests/experiments/live_fixture.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class LiveServerTest : public testing::Test {
 protected:
  void SetUp() override {
    LiveServerOptions options;
    options.page = "<!doctype html><p>the page</p>";
    options.policy = "default-src 'none'";
    options.opening = [] { return LiveEvent("run", "{}"); };
    options.act = [this](const std::string& body) {
      ++acts_;
      return body == "{}" ? Status::Ok() : Status(StatusCode::kRefused, "not now");
    };
    auto server = LiveServer::Start(std::move(options));
    ASSERT_TRUE(server) << server.error().ToString();
    server_ = std::move(*server);
    address_.emplace(server_->url());
  }
  std::unique_ptr<HttpClient> Listener() {
    auto client = std::make_unique<HttpClient>(address_->port);
    client->Send(address_->Get("events"));
    client->ReadUntilText("event: run");
    return client;
  }
  std::unique_ptr<LiveServer> server_;
  std::optional<LiveAddress> address_;
  std::atomic<int> acts_{0};
};

TEST_F(LiveServerTest, ServesItsPageWithAPolicyAndNothingElse) {
  const std::string answer = address_->Ask(address_->Get(""));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(answer, HasSubstr("<p>the page</p>"));
  EXPECT_THAT(address_->Ask(address_->Get("other")), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(address_->Ask("POST " + address_->path + " HTTP/1.1\r\nHost: " + address_->host +
                            "\r\n\r\n"),
              StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(address_->Ask("nonsense\r\n\r\n"), Not(HasSubstr("the page")));
}

TEST_F(LiveServerTest, IsAtTheLoopbackAddressAndAnotherCannotTakeItsPort) {
  EXPECT_THAT(server_->url(), StartsWith("http://127.0.0.1:"));
  LiveServerOptions options;
  options.port = address_->port;
  const auto second = LiveServer::Start(std::move(options));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), StatusCode::kUnavailable);
  EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(address_->port)));
  EXPECT_THAT(second.error().message(), HasSubstr("name another port"));
}

TEST_F(LiveServerTest, WhoDoesNotKnowTheSecretGetsNothing) {
  for (const char* path : {"/", "/events", "/act", "/0000/"}) {
    LiveAddress stranger = *address_;
    stranger.path = path;
    EXPECT_THAT(stranger.Ask(stranger.Get("")), StartsWith("HTTP/1.1 4")) << path;
    EXPECT_THAT(stranger.Ask(stranger.Post("{}")), StartsWith("HTTP/1.1 4")) << path;
  }
  EXPECT_EQ(acts_, 0);
}

TEST_F(LiveServerTest, AnotherNameForThisMachineIsRefused) {
  LiveAddress rebound = *address_;
  for (const std::string host : {"evil.example", "127.0.0.1", "127.0.0.1:1", "0.0.0.0"}) {
    rebound.host = host;
    for (const std::string& request :
         {rebound.Get(""), rebound.Get("events"), rebound.Post("{}")}) {
      EXPECT_THAT(rebound.Ask(request), StartsWith("HTTP/1.1 403")) << request;
    }
  }
  EXPECT_EQ(acts_, 0);
}

TEST_F(LiveServerTest, OnlyThePageItselfMayAct) {
  const std::string port = std::to_string(address_->port);
  for (const std::string fields :
       {"Origin: http://evil.example\r\n", "Origin: null\r\n", "Origin: https://127.0.0.1\r\n",
        "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n"}) {
    EXPECT_THAT(address_->Ask(address_->Post("{}", fields)), StartsWith("HTTP/1.1 403"))
        << fields;
  }
  // What a form of another page can send.
  std::string plain = address_->Post("{}");
  plain.replace(plain.find("application/json"), 16, "text/plain");
  EXPECT_THAT(address_->Ask(plain), StartsWith("HTTP/1.1 415"));
  EXPECT_EQ(acts_, 0);
  const std::string own =
      "Origin: http://127.0.0.1:" + port + "\r\nSec-Fetch-Site: same-origin\r\n";
  EXPECT_THAT(address_->Ask(address_->Post("{}", own)), StartsWith("HTTP/1.1 202"));
  const std::string refused = address_->Ask(address_->Post("{\"a\": 1}", own));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 409"));
  EXPECT_THAT(refused, HasSubstr("not now"));
  EXPECT_EQ(acts_, 2);
  // Too long to be read: closed, or refused by the parser.
  EXPECT_THAT(address_->Ask(address_->Post(std::string(100'000, ' '), own)),
              Not(StartsWith("HTTP/1.1 2")));
  EXPECT_EQ(acts_, 2);
}

TEST_F(LiveServerTest, EveryListenerHearsTheOpeningThenEveryEventThenTheLast) {
  const auto one = Listener();
  const auto two = Listener();
  server_->SendSample(LiveEvent("sample", "{\"seq\":1}"));
  server_->Send(LiveEvent("happened", "{}"));
  server_->Close(LiveEvent("ended", "{}"), std::chrono::seconds(20));
  for (HttpClient* client : {one.get(), two.get()}) {
    const std::string& got = client->ReadAll();
    EXPECT_TRUE(client->ended());
    EXPECT_THAT(got, HasSubstr("Content-Type: text/event-stream"));
    EXPECT_THAT(got, HasSubstr("event: run\ndata: {}\n\nevent: sample\ndata: {\"seq\":1}\n\n"
                               "event: happened\ndata: {}\n\nevent: ended\ndata: {}\n\n"));
  }
  EXPECT_FALSE(HttpClient(address_->port).connected());
  EXPECT_EQ(server_->left_out(), 0);
}

TEST_F(LiveServerTest, ABrowserThatDoesNotReadMissesSamplesAndHoldsNobodyUp) {
  const auto slow = Listener();
  const auto quick = Listener();
  // More than the sockets' own buffers take.
  const std::string sample = LiveEvent("sample", std::string(16 << 10, '7'));
  constexpr int kSamples = 1500;
  size_t read = 0;
  for (int i = 0; i < kSamples; ++i) {
    server_->SendSample(sample);
    read += sample.size();
    quick->ReadUntil([&](const std::string& got) { return got.size() >= read; });
  }
  server_->Send(LiveEvent("happened", "{\"text\":\"last\"}"));
  EXPECT_EQ(quick->ReadUntilText("\"last\"").find("left-out"), std::string::npos);
  EXPECT_GT(server_->left_out(), kSamples / 2);
  EXPECT_LT(server_->left_out(), kSamples);
  const std::string& got = slow->ReadUntilText("\"last\"");  // it is told what it must know
  EXPECT_LT(got.size(), kSamples / 2 * sample.size());
  server_->SendSample(LiveEvent("sample", "{\"seq\":1}"));
  const std::string& all = slow->ReadUntilText("\"seq\":1");
  const std::string told = "event: left-out\ndata: {\"samples\":";
  int64_t sum = 0;  // it may be told more than once
  for (size_t at = all.find(told); at != all.npos; at = all.find(told, at + 1)) {
    sum += std::atoll(all.c_str() + at + told.size());
  }
  EXPECT_EQ(sum, server_->left_out());
}

TEST_F(LiveServerTest, VanishedBrowsersAndSilentOnesLeaveRoomForOthers) {
  for (int i = 0; i < 100; ++i) {
    const auto gone = Listener();
    ASSERT_TRUE(gone->connected()) << i;
    // Until the server has noticed: only so many may listen.
    if (i % 10 == 9) {
      ASSERT_TRUE(Eventually([&] {
        HttpClient probe(address_->port);
        probe.Send(address_->Get("events"));
        return probe.ReadUntilText("\r\n\r\n").find("200 OK") != std::string::npos;
      })) << i;
    }
  }
  std::vector<std::unique_ptr<HttpClient>> listeners;
  ASSERT_TRUE(Eventually([&] {
    listeners.clear();
    for (int i = 0; i < 16; ++i) listeners.push_back(Listener());
    for (const auto& one : listeners) {
      if (one->ReadUntilText("\r\n\r\n").find("200 OK") == std::string::npos) return false;
    }
    return true;
  }));
  EXPECT_THAT(address_->Ask(address_->Get("events")), StartsWith("HTTP/1.1 503"));
  server_->SendSample(LiveEvent("sample", "{\"seq\":9}"));
  EXPECT_THAT(listeners.back()->ReadUntilText("\"seq\":9"), HasSubstr("\"seq\":9"));
}

TEST_F(LiveServerTest, ListenersOfAServerThatGoesAwayAreCutOff) {
  const auto listener = Listener();
  server_.reset();
  listener->ReadAll();
  EXPECT_TRUE(listener->ended());
}

}  // namespace
}  // namespace indoubt
