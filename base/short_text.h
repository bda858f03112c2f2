// Short text as a value of fixed size: a gid is copied for every branch, event and record.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/check.h"

namespace indoubt {

/// Text of at most `kMost` bytes, kept in place: copying and comparing it takes no call and
/// no memory. A value; compares as its bytes do. Thread-compatible.
template <size_t kMost>
class ShortText {
  static_assert(kMost <= UINT8_MAX, "its length is one byte");

 public:
  constexpr ShortText() = default;
  /// From anything that is text; it must fit (checked).
  template <typename Text>
  requires std::is_convertible_v<const Text&, std::string_view>
  // NOLINTNEXTLINE(google-explicit-constructor): it stands where a std::string did
  ShortText(const Text& text) {
    const std::string_view bytes = text;
    INDOUBT_CHECK(bytes.size() <= kMost, std::string(bytes.substr(0, 80)));
    std::copy(bytes.begin(), bytes.end(), bytes_.begin());
    size_ = static_cast<uint8_t>(bytes.size());
  }

  /// As long as this lives and is not assigned to.
  constexpr std::string_view view() const { return {bytes_.data(), size_}; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr size_t size() const { return size_; }

  friend bool operator==(const ShortText& a, const ShortText& b) {
    // What follows the text is zero: as many bytes as the type has are compared in place.
    return a.size_ == b.size_ && std::memcmp(a.bytes_.data(), b.bytes_.data(), kMost) == 0;
  }
  friend std::strong_ordering operator<=>(const ShortText& a, const ShortText& b) {
    return a.view() <=> b.view();
  }

 private:
  std::array<char, kMost> bytes_{};
  uint8_t size_ = 0;
};

}  // namespace indoubt
