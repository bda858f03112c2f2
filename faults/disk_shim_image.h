// The library of disk_shim.cc as bytes: the one binary carries it, and needs no file beside
// it wherever it is copied to.
#pragma once

#include <string_view>

namespace indoubt {

std::string_view DiskShimImage();

}  // namespace indoubt
