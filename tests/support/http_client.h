// A client of one HTTP connection that sends what it is told to, right or wrong.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

namespace indoubt {

/// To 127.0.0.1. Thread-compatible.
class HttpClient {
 public:
  explicit HttpClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~HttpClient() { close(fd_); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool connected() const { return connected_; }
  bool Send(const std::string& text) {
    return send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  /// Reads until `enough` of all that came so far, its end, or `limit`.
  const std::string& ReadUntil(const std::function<bool(const std::string&)>& enough,
                               Duration limit = std::chrono::seconds(20)) {
    const TimePoint deadline = SystemClock().Now() + limit;
    while (!ended_ && !enough(got_) && SystemClock().Now() < deadline) {
      pollfd readable{fd_, POLLIN, 0};
      if (poll(&readable, 1, 50) <= 0) continue;
      char bytes[65536];
      const ssize_t count = recv(fd_, bytes, sizeof bytes, 0);
      if (count <= 0) {
        ended_ = true;
      } else {
        got_.append(bytes, static_cast<size_t>(count));
      }
    }
    return got_;
  }
  const std::string& ReadAll() {
    return ReadUntil([](const std::string&) { return false; });
  }
  const std::string& ReadUntilText(const std::string& text) {
    return ReadUntil([&](const std::string& got) { return got.find(text) != got.npos; });
  }
  /// Whether the server has ended the connection, and it was seen.
  bool ended() const { return ended_; }

 private:
  const int fd_;
  bool connected_ = false, ended_ = false;
  std::string got_;
};

}  // namespace indoubt
