#include "base/gid.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <sys/random.h>

namespace indoubt {
namespace {

constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";
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

std::string RandomBase32(size_t length) {
  std::string text(length, '\0');
  const ssize_t got = getrandom(text.data(), text.size(), 0);
  INDOUBT_CHECK(got == static_cast<ssize_t>(length), "getrandom gives small requests whole");
  for (char& c : text) c = kBase32[static_cast<uint8_t>(c) % 32];
  return text;
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

bool IsValidHome(std::string_view text) {
  return text.size() == kHomeLength && text.find_first_not_of(kBase32) == text.npos;
}

std::string RandomHome() { return RandomBase32(kHomeLength); }

LogId LogId::Random() { return LogId(RandomBase32(kLogIdLength)); }

Result<LogId> LogId::Parse(std::string_view text) {
  if (text.size() != kLogIdLength ||
      text.find_first_not_of(kBase32) != std::string_view::npos) {
    return Malformed("a log identity (10 characters of [a-z2-7])", text);
  }
  return LogId(text);
}

Result<Gid> Gid::Parse(std::string_view text) {
  constexpr std::string_view kForm = "a gid (node.log.incarnation.number[.home])";
  std::array<std::string_view, 5> parts;
  size_t count = 0;
  for (std::string_view rest = text; count < parts.size();) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    parts[count++] = rest.substr(0, dot);
    if (dot == rest.size()) break;
    rest.remove_prefix(dot + 1);
    if (count == parts.size()) return Malformed(kForm, text);
  }
  const bool has_home = count == parts.size();
  if (count < 4 || (has_home && !IsValidHome(parts[4]))) return Malformed(kForm, text);
  auto log = LogId::Parse(parts[1]);
  auto incarnation = ParseHex(parts[2], kMaxIncarnation);
  auto number = ParseHex(parts[3], kMaxNumber);
  if (!IsValidName(parts[0]) || !log || !incarnation || !number) return Malformed(kForm, text);
  return Gid{parts[0], *log, static_cast<uint32_t>(*incarnation), *number, parts[4]};
}

std::string Gid::ToString() const {
  // Every outcome carries it: made without a format string.
  constexpr size_t kNumbers = 5 + 11;  // hexadecimal digits at most
  std::string text;
  text.reserve(node.size() + log.text().size() + kNumbers + 4 + home.size());
  text += node.view();
  text += '.';
  text += log.text();
  for (const uint64_t part : {uint64_t{incarnation}, number}) {
    std::array<char, 16> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), part, 16).ptr;
    text += '.';
    text.append(digits.data(), end);
  }
  if (!home.empty()) {
    text += '.';
    text += home.view();
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
