// The configuration file: any bytes are a configuration or one clear error that begins
// with the file's name.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/gid.h"
#include "cli/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto config = indoubt::cli::ParseConfig(text, "fuzz.toml");
  if (config) {
    INDOUBT_CHECK(indoubt::IsValidName(config->node), "a node has a valid name");
    INDOUBT_CHECK(config->default_timeout.count() > 0, "a timeout is above 0");
    for (const auto& participant : config->participants) {
      INDOUBT_CHECK(indoubt::IsValidName(indoubt::cli::NameOf(participant)),
                    "a participant has a valid name");
    }
    return 0;
  }
  const indoubt::Status& error = config.error();
  INDOUBT_CHECK(error.code() == indoubt::StatusCode::kInvalidArgument, error.ToString());
  INDOUBT_CHECK(error.message().starts_with("fuzz.toml:"), error.message());
  // It goes to a terminal and into logs.
  for (const char c : error.message()) {
    INDOUBT_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f,
                  "one line, and no control character of the file in it");
  }
  return 0;
}
