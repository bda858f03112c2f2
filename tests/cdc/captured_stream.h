// A stream of pgoutput messages as a PostgreSQL server made it, kept as a text file in
// tests/cdc/streams. By line:
//
//   # option: NAME VALUE   what the plugin was asked for
//   # setup: SQL           done before the slot was made
//   # run: SQL             what the stream tells of, one statement each, by one session
//   # ...                  for the reader; so is an empty line
//   0123ABCD...            one message, in hex
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace indoubt {

struct CapturedStream {
  std::vector<std::string> head;      // the lines that are no messages
  std::vector<std::string> messages;  // as bytes

  /// What follows "# <word>: " in the head.
  std::vector<std::string> Lines(std::string_view word) const;
  /// The file's text.
  std::string ToText() const;
};

/// kIoError when it cannot be read, kCorrupt for a line of no known form.
Result<CapturedStream> ReadCapturedStream(const std::filesystem::path& file);

/// Every file of the folder, by name.
std::vector<std::filesystem::path> CapturedStreams(const std::filesystem::path& folder);

/// kCorrupt when `hex` is not pairs of hex digits.
Result<std::string> FromHex(std::string_view hex);

}  // namespace indoubt
