#include "cdc/lsn.h"

#include <charconv>

#include <fmt/format.h>

namespace indoubt {
namespace {

bool ParseHex32(std::string_view text, uint32_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

Result<Lsn> Lsn::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  uint32_t high = 0;
  uint32_t low = 0;
  if (slash == std::string_view::npos || !ParseHex32(text.substr(0, slash), high) ||
      !ParseHex32(text.substr(slash + 1), low)) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("\"{}\" is no LSN; the form is 16/B374D848", text.substr(0, 40)));
  }
  return Lsn{(uint64_t{high} << 32) | low};
}

std::string Lsn::ToString() const {
  return fmt::format("{:X}/{:X}", value >> 32, value & 0xffffffffu);
}

}  // namespace indoubt
