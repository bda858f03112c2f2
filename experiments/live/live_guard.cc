#include "experiments/live/live_guard.h"

#include <array>
#include <utility>

#include <fmt/format.h>
#include <sys/random.h>

#include "base/check.h"

namespace indoubt {
namespace {

LiveRefusal Refuse(unsigned status, std::string why) { return {status, std::move(why)}; }

/// In a time that says nothing of where they differ.
bool SameText(std::string_view one, std::string_view other) {
  if (one.size() != other.size()) return false;
  unsigned char differ = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    differ |= static_cast<unsigned char>(one[i] ^ other[i]);
  }
  return differ == 0;
}

constexpr std::string_view kHttp = "http://";

}  // namespace

LiveGuard::LiveGuard(std::string secret, uint16_t port)
    : base_("/" + std::move(secret) + "/"),
      port_(port),
      url_(fmt::format("http://127.0.0.1:{}{}", port, base_)) {}

bool LiveGuard::IsOurHost(std::string_view host) const {
  for (const char* name : {"127.0.0.1", "localhost"}) {
    if (host == fmt::format("{}:{}", name, port_)) return true;
    if (port_ == 80 && host == name) return true;
  }
  return false;
}

std::variant<LiveRoute, LiveRefusal> LiveGuard::Admit(const LiveRequest& request) const {
  if (!IsOurHost(request.host)) {
    return Refuse(403, "this server answers to 127.0.0.1 and localhost with its port only");
  }
  if (!SameText(request.target.substr(0, base_.size()), base_)) {
    return Refuse(403, "use the whole address that indoubt run --live printed");
  }
  const std::string_view what = request.target.substr(base_.size());
  if (what.empty() || what == "events") {
    if (request.method != "GET") return Refuse(405, "only GET");
    return what.empty() ? LiveRoute::kPage : LiveRoute::kStream;
  }
  if (what != "act") return Refuse(404, "there is nothing here");
  if (request.method != "POST") return Refuse(405, "only POST");
  const bool foreign_origin =
      !request.origin.empty() &&
      (!request.origin.starts_with(kHttp) || !IsOurHost(request.origin.substr(kHttp.size())));
  const bool foreign_site = !request.fetch_site.empty() && request.fetch_site != "same-origin";
  if (foreign_origin || foreign_site) return Refuse(403, "only the live page itself may ask");
  if (request.content_type != "application/json") return Refuse(415, "only application/json");
  return LiveRoute::kAct;
}

std::string RandomSecret() {
  std::array<unsigned char, 16> bytes{};
  const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  INDOUBT_CHECK(got == static_cast<ssize_t>(bytes.size()),
                "so few bytes come at once (getrandom(2))");
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace indoubt
