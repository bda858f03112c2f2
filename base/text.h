// Text from outside, before it is shown to a person.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace indoubt {

/// Whether `bytes` are well-formed UTF-8 (RFC 3629).
bool IsUtf8(std::string_view bytes);

/// How much of a message a person needs to see.
inline constexpr size_t kMostMessageBytes = 2000;

/// `text` on one line: white space as single spaces, trimmed, other control characters and
/// bytes that are no UTF-8 as '?', and of more than `most` bytes the first, with "...".
std::string OneLine(std::string_view text, size_t most = kMostMessageBytes);

/// How much of a text for people is kept in a log.
inline constexpr size_t kMostKeptBytes = 1000;

/// The first `most` bytes of `text`, each that is no printable ASCII as '?': what is kept in a
/// log for people, and shown to them before it was read back.
std::string PrintableAscii(std::string_view text, size_t most = kMostKeptBytes);

}  // namespace indoubt
