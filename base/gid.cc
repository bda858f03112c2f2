#include "base/gid.h"

#include <array>
#include <charconv>

#include <fmt/format.h>
#include <sys/random.h>

namespace indoubt {
namespace {

constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr size_t kLogIdLength = 10;
constexpr uint64_t kMaxIncarnation = 0xfffff;
constexpr uint64_t kMaxNumber = 0xfffffffffff;

Status Malformed(std::string_view what, std::string_view text) {
  std::string shown;
  for (char c : text.substr(0, 80)) {
    const bool printable = c >= 0x20 && c < 0x7f;
    shown += printable ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
  }
  return Status(StatusCode::kInvalidArgument,
                fmt::format("\"{}\"{} is not {}", shown, text.size() > 80 ? "..." : "", what));
}

/// A hexadecimal number without leading zeros or upper case, within [1, max].
Result<uint64_t> ParseHex(std::string_view text, uint64_t max) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  const bool canonical = error == std::errc() && end == text.data() + text.size() &&
                         number >= 1 && number <= max && fmt::format("{:x}", number) == text;
  if (!canonical) return Malformed("a number of a gid", text);
  return number;
}

}  // namespace

bool IsValidName(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameLength) return false;
  for (char c : name) {
    const bool allowed = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                         (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!allowed) return false;
  }
  return true;
}

LogId LogId::Random() {
  std::array<uint8_t, kLogIdLength> bytes{};
  const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  INDOUBT_CHECK(got == static_cast<ssize_t>(bytes.size()),
                "getrandom gives small requests whole");
  std::string text;
  for (uint8_t byte : bytes) text += kBase32[byte % 32];
  return LogId(std::move(text));
}

Result<LogId> LogId::Parse(std::string_view text) {
  if (text.size() != kLogIdLength ||
      text.find_first_not_of(kBase32) != std::string_view::npos) {
    return Malformed("a log identity (10 characters of [a-z2-7])", text);
  }
  return LogId(std::string(text));
}

Result<Gid> Gid::Parse(std::string_view text) {
  constexpr std::string_view kForm = "a gid (node.log.incarnation.number)";
  std::array<std::string_view, 4> parts;
  std::string_view rest = text;
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t dot = i + 1 < parts.size() ? rest.find('.') : rest.size();
    if (dot == std::string_view::npos) return Malformed(kForm, text);
    parts[i] = rest.substr(0, dot);
    rest = i + 1 < parts.size() ? rest.substr(dot + 1) : std::string_view();
  }
  auto log = LogId::Parse(parts[1]);
  auto incarnation = ParseHex(parts[2], kMaxIncarnation);
  auto number = ParseHex(parts[3], kMaxNumber);
  if (!IsValidName(parts[0]) || !log || !incarnation || !number) return Malformed(kForm, text);
  return Gid{std::string(parts[0]), *log, static_cast<uint32_t>(*incarnation), *number};
}

std::string Gid::ToString() const {
  // Every outcome carries it: made without a format string.
  constexpr size_t kNumbers = 5 + 11;  // hexadecimal digits at most
  std::string text;
  text.reserve(node.size() + log.text().size() + kNumbers + 3);
  text += node;
  text += '.';
  text += log.text();
  for (const uint64_t part : {uint64_t{incarnation}, number}) {
    std::array<char, 16> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), part, 16).ptr;
    text += '.';
    text.append(digits.data(), end);
  }
  return text;
}

Result<BranchId> BranchId::Parse(std::string_view text) {
  if (!text.starts_with(kBranchPrefix)) {
    return Status(StatusCode::kNotFound, "not a branch of indoubt");
  }
  const std::string_view rest = text.substr(kBranchPrefix.size());
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos || !IsValidName(rest.substr(colon + 1))) {
    return Malformed("a branch (idt:gid:participant)", text);
  }
  INDOUBT_ASSIGN_OR_RETURN(Gid gid, Gid::Parse(rest.substr(0, colon)));
  return BranchId{std::move(gid), std::string(rest.substr(colon + 1))};
}

std::string BranchId::ToString() const {
  return fmt::format("{}{}:{}", kBranchPrefix, gid.ToString(), participant);
}

}  // namespace indoubt

size_t std::hash<indoubt::Gid>::operator()(const indoubt::Gid& gid) const noexcept {
  // Numbers are dense within an incarnation. Another log's gids are rare in one process
  // and may collide: their texts are not worth a hash each.
  return (gid.number + (uint64_t{gid.incarnation} << 44)) * 0x9e3779b97f4a7c15u;
}
