// One connection to the live page's server: a request, and its answer; a listener's goes over
// into a stream.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "experiments/live/live_guard.h"
#include "experiments/live/live_server.h"

namespace indoubt {

/// What sessions need of their server. On the server's thread.
class LiveHost {
 public:
  virtual ~LiveHost() = default;
  virtual const LiveGuard& guard() const = 0;
  virtual const LiveServerOptions& options() const = 0;
  /// False when too many listen.
  virtual bool HasRoom() const = 0;
  virtual void Listen(boost::beast::tcp_stream stream) = 0;
  virtual void SessionEnded() = 0;
};

/// What is under way keeps the session: it goes with its last callback. The host outlives it.
class LiveSession : public std::enable_shared_from_this<LiveSession> {
 public:
  LiveSession(boost::asio::ip::tcp::socket socket, LiveHost& host);
  ~LiveSession() { host_.SessionEnded(); }
  LiveSession(const LiveSession&) = delete;
  LiveSession& operator=(const LiveSession&) = delete;

  void Run();

 private:
  void Answer();
  void Act();
  void Reply(unsigned status, const std::string& type, std::string body);

  LiveHost& host_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  boost::beast::http::request_parser<boost::beast::http::string_body> parser_;
  boost::beast::http::response<boost::beast::http::string_body> response_;
};

}  // namespace indoubt
