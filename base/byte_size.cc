#include "base/byte_size.h"

#include <array>
#include <charconv>

#include <fmt/format.h>

namespace indoubt {
namespace {

struct Unit {
  std::string_view suffix;
  int shift;
};
constexpr std::array<Unit, 5> kUnits{
    {{"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}};
constexpr uint64_t kLargest = uint64_t{1} << 62;

}  // namespace

Result<uint64_t> ParseByteSize(std::string_view text) {
  uint64_t amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  const std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  for (const Unit& unit : kUnits) {
    if (error != std::errc() || suffix != unit.suffix || amount == 0) continue;
    if (amount > kLargest >> unit.shift) break;
    return amount << unit.shift;
  }
  return Status(StatusCode::kInvalidArgument,
                fmt::format("\"{}\" is not a size; write a whole number above 0 and B, KiB, "
                            "MiB, GiB or TiB, e.g. \"20GiB\"",
                            text.substr(0, 40)));
}

}  // namespace indoubt
