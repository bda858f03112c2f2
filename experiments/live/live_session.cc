#include "experiments/live/live_session.h"

#include <chrono>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <nlohmann/json.hpp>

namespace indoubt {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::chrono::seconds kPatience{5};
constexpr uint32_t kLongestHeader = 8192;
constexpr uint64_t kLongestBody = 1024;

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

unsigned StatusFor(const Status& status) {
  if (status.ok()) return 202;  // asked for; the events say when it happened
  return status.code() == StatusCode::kInvalidArgument ? 400 : 409;
}

}  // namespace

LiveSession::LiveSession(boost::asio::ip::tcp::socket socket, LiveHost& host)
    : host_(host), stream_(std::move(socket)) {}

void LiveSession::Run() {
  stream_.expires_after(kPatience);
  parser_.header_limit(kLongestHeader);
  parser_.body_limit(kLongestBody);
  http::async_read(stream_, buffer_, parser_,
                   [self = shared_from_this()](error_code error, size_t) {
                     if (!error) self->Answer();
                   });
}

void LiveSession::Answer() {
  const auto& request = parser_.get();
  const auto field = [&](std::string_view name) {
    const auto at = request.find(beast::string_view(name.data(), name.size()));
    return at == request.end() ? std::string_view() : View(at->value());
  };
  const auto admitted =
      host_.guard().Admit({View(request.method_string()), View(request.target()), field("Host"),
                           field("Origin"), field("Sec-Fetch-Site"), field("Content-Type")});
  if (const auto* refused = std::get_if<LiveRefusal>(&admitted)) {
    return Reply(refused->status, "text/plain; charset=utf-8", refused->why + "\n");
  }
  switch (std::get<LiveRoute>(admitted)) {
    case LiveRoute::kPage:
      return Reply(200, "text/html; charset=utf-8", host_.options().page);
    case LiveRoute::kStream:
      if (host_.HasRoom()) return host_.Listen(std::move(stream_));
      return Reply(503, "text/plain; charset=utf-8", "too many pages listen already\n");
    case LiveRoute::kAct:
      return Act();
  }
}

void LiveSession::Act() {
  const Status status = host_.options().act(parser_.get().body());
  const nlohmann::json body = {
      {"error", status.ok() ? nlohmann::json() : nlohmann::json(status.message())}};
  Reply(StatusFor(status), "application/json",
        body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void LiveSession::Reply(unsigned status, const std::string& type, std::string body) {
  response_.result(status);
  response_.set(http::field::content_type, type);
  response_.set(http::field::cache_control, "no-store");
  response_.set("Content-Security-Policy", host_.options().policy);
  response_.set("X-Content-Type-Options", "nosniff");
  response_.set("X-Frame-Options", "DENY");
  response_.set("Referrer-Policy", "no-referrer");
  response_.set("Cross-Origin-Resource-Policy", "same-origin");
  response_.body() = std::move(body);
  response_.keep_alive(false);
  response_.prepare_payload();
  stream_.expires_after(kPatience);
  http::async_write(stream_, response_, [self = shared_from_this()](error_code, size_t) {
    error_code ignored;  // the client has what it gets
    self->stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
  });
}

}  // namespace indoubt
