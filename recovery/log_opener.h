// Finds out what a log folder says before anything is written to it.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "recovery/log_state.h"

namespace indoubt {

struct OpenedLog {
  LogId id;
  LogState state;
  bool is_new = false;
  uint64_t next_segment = 1;
  uint64_t next_sequence = 1;
  std::vector<uint64_t> segments;  // that are there, to be removed once superseded
};

/// Reads the newest segment with a whole checkpoint. A newer one without was never
/// in use; an older one is superseded. kCorrupt names file and offset.
Result<OpenedLog> ReadLogFolder(FileSystem& files, const std::string& folder,
                                Duration outcome_retention, TimePoint now);

/// The numbers of the segments in a folder, ascending.
Result<std::vector<uint64_t>> ListSegments(FileSystem& files, const std::string& folder);

}  // namespace indoubt
