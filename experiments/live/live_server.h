// The live page's HTTP server: one page, one stream of events, and what a person asks for.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace indoubt {

struct LiveServerOptions {
  uint16_t port = 0;   // of 127.0.0.1; 0: a free one
  std::string page;    // HTML
  std::string policy;  // its content security policy
  /// The events that bring a new listener up to date. Called on the server's thread.
  std::function<std::string()> opening;
  /// What a person asks for: a body of JSON, not checked yet. Called on the server's thread;
  /// must not block. kInvalidArgument: it is no request; other errors say why it is refused.
  std::function<Status(const std::string& body)> act;
};

/// On a thread of its own; nothing here waits for a browser, however slow: 16 may listen, with
/// some seconds of samples waiting for each, and 64 connections be open. Send*, url and
/// left_out from any thread, the rest from one.
class LiveServer {
 public:
  /// kUnavailable when the port cannot be had, e.g. because somebody else has it.
  static Result<std::unique_ptr<LiveServer>> Start(LiveServerOptions options);
  /// Cuts off whoever listens.
  ~LiveServer();

  /// What a person has to open. Who knows it may act: it is a secret.
  const std::string& url() const;
  /// To all that listen; a browser that is too slow misses samples, and is told how many.
  void SendSample(std::string event);
  /// To all that listen. A browser that takes none of hundreds is cut off.
  void Send(std::string event);
  /// Sends a last event, and returns when all have it or after `patience`; takes no new
  /// connections from then on.
  void Close(std::string last_event, std::chrono::milliseconds patience);
  /// How many samples were left out, over all listeners.
  int64_t left_out() const;

 private:
  class Impl;
  explicit LiveServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace indoubt
