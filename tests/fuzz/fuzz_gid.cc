// Names from outside: gids, branches and log identities (a prepared transaction may have
// any name), and durations. What is accepted is what ToString gives; what is refused gives
// one printable line.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/duration.h"
#include "base/gid.h"

namespace {

constexpr size_t kXaBytes = 64;
// At most 80 bytes of the input are shown, each as \xNN at worst.
constexpr size_t kLongestMessage = 500;

void CheckMessage(const std::string& message) {
  INDOUBT_CHECK(message.size() <= kLongestMessage, "a message stays one line for a person");
  for (const char c : message) {
    INDOUBT_CHECK(c >= 0x20 && c < 0x7f, "a message holds no control character of the input");
  }
}

template <typename Parsed>
void CheckRoundTrip(std::string_view text, const indoubt::Result<Parsed>& parsed) {
  if (!parsed) return CheckMessage(parsed.error().message());
  INDOUBT_CHECK(parsed->ToString() == text, "only the one text form is accepted");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto gid = indoubt::Gid::Parse(text);
  CheckRoundTrip(text, gid);
  if (gid) INDOUBT_CHECK(text.size() <= kXaBytes, "a gid is XA's gtrid");
  CheckRoundTrip(text, indoubt::BranchId::Parse(text));
  if (const auto log = indoubt::LogId::Parse(text)) {
    INDOUBT_CHECK(log->text() == text, "an identity is its text");
  } else {
    CheckMessage(log.error().message());
  }
  if (const auto duration = indoubt::ParseDuration(text)) {
    const auto again = indoubt::ParseDuration(indoubt::FormatDuration(*duration));
    INDOUBT_CHECK(again && *again == *duration, "a duration's text is exact");
  }
  return 0;
}
