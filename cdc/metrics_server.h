// Serves a text at /metrics over HTTP, for Prometheus to scrape.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace indoubt {

/// One thread answers one request after another; a client that says nothing is left after
/// a few seconds. No authentication: give it an address that only the scraper reaches.
class MetricsServer {
 public:
  /// `address` is "HOST:PORT"; port 0 takes a free one. `text` is called on the server's
  /// thread for each GET /metrics. kInvalidArgument for an address that is none,
  /// kUnavailable when it cannot be listened on.
  static Result<std::unique_ptr<MetricsServer>> Start(const std::string& address,
                                                      std::function<std::string()> text);
  /// Whether Start could take `address`, as far as can be said without listening there: its
  /// host is known.
  static Status Check(const std::string& address);
  /// Waits for a request under way.
  ~MetricsServer();
  /// "HOST:PORT" as it is listened on.
  const std::string& address() const;

 private:
  class Impl;
  explicit MetricsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace indoubt
