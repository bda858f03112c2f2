// library/, as the build embeds it.
#pragma once

#include <string_view>

namespace indoubt {

extern const std::string_view kRedisLibrary;
/// What indoubt_version answers: a digest of the text, so that any change reloads it.
extern const std::string_view kRedisLibraryVersion;

}  // namespace indoubt
