#include "base/text.h"

namespace indoubt {
namespace {

/// The length of the UTF-8 character that `bytes`, not empty, begin with; 0: they do not.
size_t CharacterLength(std::string_view bytes) {
  const auto byte = [&](size_t at) {
    return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0u;
  };
  const unsigned first = byte(0), second = byte(1);
  const size_t length = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  const bool none = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                    (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return none ? 0 : length;
}

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = CharacterLength(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string OneLine(std::string_view text, size_t most) {
  std::string line;
  bool space = false;  // before the next character
  while (!text.empty()) {
    if (IsSpace(text[0])) {
      space = !line.empty();
      text.remove_prefix(1);
      continue;
    }
    const size_t length = CharacterLength(text);
    const bool control = static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f;
    std::string_view shown = length == 0 || control ? "?" : text.substr(0, length);
    if (line.size() + (space ? 1 : 0) + shown.size() > most) return line + "...";
    if (space) line += ' ';
    space = false;
    line += shown;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return line;
}

std::string PrintableAscii(std::string_view text, size_t most) {
  std::string out(text.substr(0, most));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return out;
}

}  // namespace indoubt
