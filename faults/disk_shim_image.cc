#include "faults/disk_shim_image.h"

#include <cstddef>

#ifndef INDOUBT_DISK_SHIM_FILE
#error "the build names the library's file"
#endif

// The assembler reads the file: a literal of its bytes would be ten times as long.
__asm__(
    ".section .rodata\n"
    ".balign 16\n"
    "indoubt_disk_shim_begin:\n"
    ".incbin \"" INDOUBT_DISK_SHIM_FILE
    "\"\n"
    "indoubt_disk_shim_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" const char indoubt_disk_shim_begin[];
extern "C" const char indoubt_disk_shim_end[];

namespace indoubt {

std::string_view DiskShimImage() {
  return {indoubt_disk_shim_begin,
          static_cast<size_t>(indoubt_disk_shim_end - indoubt_disk_shim_begin)};
}

}  // namespace indoubt
