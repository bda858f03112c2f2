#include "participants/redis/redis_uri.h"

#include <charconv>

#include <fmt/format.h>

namespace indoubt {
namespace {

constexpr std::string_view kForms =
    "write redis://[user:password@]host:port/db or unix:///path?db=0";

Status Wrong(std::string_view what) {
  return Status(StatusCode::kInvalidArgument, fmt::format("uri: {}; {}", what, kForms));
}

bool ParseNumber(std::string_view text, int highest, int& to) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
  return error == std::errc() && end == text.data() + text.size() && to >= 0 && to <= highest;
}

/// %40 and its like, as a password may need them.
std::string Decode(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr ==
            text.data() + i + 3) {
      bytes += static_cast<char>(value);
      i += 2;
    } else {
      bytes += text[i];
    }
  }
  return bytes;
}

void TakeCredentials(std::string_view& rest, RedisAddress& address) {
  const size_t at = rest.substr(0, rest.find('/')).rfind('@');
  if (at == std::string_view::npos) return;
  const std::string_view credentials = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  const size_t colon = credentials.find(':');
  if (colon != std::string_view::npos) address.user = Decode(credentials.substr(0, colon));
  address.password =
      Decode(colon == std::string_view::npos ? credentials : credentials.substr(colon + 1));
}

/// "host", "host:port", and "[::1]" for a host that has colons itself; any of it may be left
/// out.
Status TakeHostAndPort(std::string_view text, RedisAddress& address) {
  std::string_view host = text.substr(0, text.find(':')), port = text.substr(host.size());
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == text.npos || end == 1)
      return Wrong("the host's bracket is not closed, or empty");
    host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && port[0] != ':') return Wrong("a ':' and the port follow a ']'");
  } else if (port.find(':', 1) != port.npos) {
    return Wrong("the host has a ':'; an IPv6 address stands in brackets, as in [::1]:6379");
  }
  if (!host.empty()) address.host = host;
  if (port.empty()) return Status::Ok();
  const bool right = ParseNumber(port.substr(1), 65535, address.port) && address.port > 0;
  return right ? Status::Ok() : Wrong("the port is not a number from 1 to 65535");
}

}  // namespace

std::string RedisAddress::Shown() const {
  if (!unix_path.empty()) return unix_path;
  const bool colons = host.find(':') != std::string::npos;
  return colons ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<RedisAddress> ParseRedisUri(const std::string& uri) {
  constexpr std::string_view kTcp = "redis://", kUnix = "unix://";
  RedisAddress address;
  std::string_view rest = uri;
  if (uri.find('\0') != std::string::npos) return Wrong("holds a NUL byte");
  if (rest.starts_with(kUnix)) {
    rest.remove_prefix(kUnix.size());
    const size_t query = rest.find('?');
    if (query != std::string_view::npos) {
      const std::string_view option = rest.substr(query + 1);
      if (!option.starts_with("db=") ||
          !ParseNumber(option.substr(3), 1 << 20, address.database)) {
        return Wrong("the only option is ?db=N");
      }
    }
    address.unix_path = rest.substr(0, query);
    if (!address.unix_path.starts_with('/')) return Wrong("the socket's path must be absolute");
    return address;
  }
  if (!rest.starts_with(kTcp)) return Wrong("is neither redis:// nor unix://");
  rest.remove_prefix(kTcp.size());
  TakeCredentials(rest, address);
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos && slash + 1 < rest.size() &&
      !ParseNumber(rest.substr(slash + 1), 1 << 20, address.database)) {
    return Wrong("the database is not a number");
  }
  INDOUBT_RETURN_IF_ERROR(TakeHostAndPort(rest.substr(0, slash), address));
  return address;
}

}  // namespace indoubt
