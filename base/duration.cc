#include "base/duration.h"

#include <array>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

namespace indoubt {
namespace {

struct Unit {
  std::string_view suffix;
  int64_t nanos;
};
// Largest first, so that FormatDuration finds the shortest exact form.
constexpr std::array<Unit, 6> kUnits{{{"h", 3'600'000'000'000},
                                      {"m", 60'000'000'000},
                                      {"s", 1'000'000'000},
                                      {"ms", 1'000'000},
                                      {"us", 1'000},
                                      {"ns", 1}}};
constexpr double kLongest = 10 * 366.0 * 24 * 3600 * 1e9;

}  // namespace

Result<Duration> ParseDuration(std::string_view text) {
  const auto unit_at = text.find_first_not_of("0123456789.");
  const std::string number(text.substr(0, unit_at));
  const std::string_view suffix =
      unit_at == std::string_view::npos ? std::string_view() : text.substr(unit_at);
  char* end = nullptr;
  const double amount = std::strtod(number.c_str(), &end);
  const bool is_number = !number.empty() && end == number.c_str() + number.size();
  if (is_number && suffix.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("duration \"{}\" has no unit; write e.g. \"{}s\" or \"{}ms\"",
                              text, text, text));
  }
  for (const Unit& unit : kUnits) {
    if (!is_number || suffix != unit.suffix) continue;
    const double nanos = amount * static_cast<double>(unit.nanos);
    if (nanos > kLongest) break;
    return Duration(std::llround(nanos));
  }
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("\"{}\" is not a duration; write a number and ns, us, ms, s, m or h",
                  text.substr(0, 40)));
}

std::string FormatDuration(Duration duration) {
  if (duration.count() == 0) return "0s";
  for (const Unit& unit : kUnits) {
    if (duration.count() % unit.nanos == 0) {
      return fmt::format("{}{}", duration.count() / unit.nanos, unit.suffix);
    }
  }
  return fmt::format("{}ns", duration.count());
}

}  // namespace indoubt
