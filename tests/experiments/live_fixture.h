// The live page's address as a browser takes it apart.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "tests/support/http_client.h"

namespace indoubt {

struct LiveAddress {
  explicit LiveAddress(const std::string& url)
      : host(url.substr(7, url.find('/', 7) - 7)),
        path(url.substr(url.find('/', 7))),
        port(static_cast<uint16_t>(std::atoi(host.substr(host.find(':') + 1).c_str()))) {}

  std::string Get(const std::string& what) const {
    return fmt::format("GET {}{} HTTP/1.1\r\nHost: {}\r\n\r\n", path, what, host);
  }
  /// As the page itself asks; `fields` are more lines of the header.
  std::string Post(const std::string& body, const std::string& fields = "") const {
    return fmt::format(
        "POST {}act HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/json\r\n"
        "Content-Length: {}\r\n\r\n{}",
        path, host, fields, body.size(), body);
  }
  /// The whole answer to one request.
  std::string Ask(const std::string& request) const {
    HttpClient client(port);
    client.Send(request);
    return client.ReadAll();
  }

  std::string host, path;
  uint16_t port;
};

}  // namespace indoubt
