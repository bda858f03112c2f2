#include "tests/cdc/captured_stream.h"

#include <algorithm>
#include <charconv>
#include <fstream>

#include <fmt/format.h>

namespace indoubt {

std::vector<std::string> CapturedStream::Lines(std::string_view word) const {
  const std::string start = fmt::format("# {}: ", word);
  std::vector<std::string> lines;
  for (const std::string& line : head) {
    if (line.starts_with(start)) lines.push_back(line.substr(start.size()));
  }
  return lines;
}

std::string CapturedStream::ToText() const {
  std::string text;
  for (const std::string& line : head) text += line + '\n';
  for (const std::string& message : messages) {
    for (const char byte : message) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
    text += '\n';
  }
  return text;
}

Result<std::string> FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    const std::string_view pair = hex.substr(i, 2);
    unsigned value = 0;
    const auto parsed = std::from_chars(pair.data(), pair.data() + pair.size(), value, 16);
    if (pair.size() < 2 || parsed.ptr != pair.data() + pair.size()) {
      return Status(StatusCode::kCorrupt, fmt::format("\"{}\" is no byte in hex", pair));
    }
    bytes.push_back(static_cast<char>(value));
  }
  return bytes;
}

Result<CapturedStream> ReadCapturedStream(const std::filesystem::path& file) {
  std::ifstream input(file);
  if (!input) return Status(StatusCode::kIoError, "cannot read " + file.string());
  CapturedStream stream;
  for (std::string line; std::getline(input, line);) {
    if (line.empty() || line.starts_with('#')) {
      stream.head.push_back(line);
      continue;
    }
    auto message = FromHex(line);
    if (!message) return message.error().WithContext(file.string());
    stream.messages.push_back(std::move(*message));
  }
  return stream;
}

std::vector<std::filesystem::path> CapturedStreams(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace indoubt
