// The page that FaultyDisk (disk.h) shares with the library that it preloads into other
// people's programs (disk_shim.cc), which has no C++ library: plain fields, read and written
// as atomics.
#pragma once

#include <cstdint>

namespace indoubt {

/// What is wrong with the disk.
enum class DiskTrouble : int32_t {
  kNone,
  kFull,       // what would make a file longer fails with ENOSPC; what overwrites goes through
  kSyncError,  // every sync fails with EIO
  kSlowSync,   // every sync takes latency_ns longer
};

/// The environment variable that names the page's file.
inline constexpr char kDiskShimVariable[] = "INDOUBT_DISK_SHIM";

struct DiskShimControl {
  int32_t trouble;   // a DiskTrouble; written last when it begins
  int32_t attached;  // how many processes have loaded the library so far
  int64_t latency_ns;
  int64_t acted_at_ns;  // when it first was felt, of CLOCK_MONOTONIC; 0: not yet
  int64_t acts;         // how often it was
  char prefix[1024];    // of the struck files' paths, as /proc/self/fd has them; ends with 0
};

}  // namespace indoubt
