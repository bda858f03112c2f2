// Who may ask the live page's server for what: whoever has the page's address, and no other
// page of the browser that has it open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace indoubt {

enum class LiveRoute { kPage, kStream, kAct };

/// What of a request is looked at; absent fields are empty.
struct LiveRequest {
  std::string_view method, target, host, origin, fetch_site, content_type;
};

struct LiveRefusal {
  unsigned status = 403;  // of HTTP
  std::string why;
};

/// The address has a secret part, so that another user of the machine cannot guess it. The
/// Host must be this machine's own: a name that was pointed at 127.0.0.1 after a page was
/// loaded from it (DNS rebinding) is none. What breaks something has to be asked for by this
/// page itself: browsers say of a request where it comes from (Origin, Sec-Fetch-Site), and
/// let no foreign page send JSON without asking first, which is answered by no. A value.
class LiveGuard {
 public:
  /// `secret` without '/'.
  LiveGuard(std::string secret, uint16_t port);

  /// "http://127.0.0.1:PORT/SECRET/"
  const std::string& url() const { return url_; }
  std::variant<LiveRoute, LiveRefusal> Admit(const LiveRequest& request) const;

 private:
  bool IsOurHost(std::string_view host) const;

  std::string base_;  // "/SECRET/"
  uint16_t port_;
  std::string url_;
};

/// 128 random bits in hexadecimal digits.
std::string RandomSecret();

}  // namespace indoubt
