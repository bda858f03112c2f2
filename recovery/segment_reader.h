// Reads one segment of the decision log and tells a torn tail from damage.
//
// A group that cannot be read is a torn tail only where nothing was acknowledged
// behind it: at the end of the segment, with no valid group after it. Then it is
// cut off. A group whose head and tail are both whole was written to its end: a
// wrong payload there is a torn tail only if a whole sector of it is zero, as a
// power cut leaves it; otherwise it is damage. (The loss of the whole last group
// leaves nothing to tell it from a group that was never written.)
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "recovery/log_format.h"

namespace indoubt {

struct ReadRecord {
  uint64_t offset = 0;  // of its group
  uint64_t sequence = 0;
  records::Record record;
};

struct SegmentContent {
  SegmentHeader header;
  std::vector<ReadRecord> records;
  /// Whether its checkpoint is whole: the records up to the Checkpoint record.
  bool has_checkpoint = false;
  uint64_t end = 0;            // offset behind the last valid group
  uint64_t next_sequence = 1;  // behind the last valid record
  /// Damage behind `end` that is no torn tail; Ok otherwise. Names file and offset.
  Status damage;
  /// A torn tail was cut off at `end`.
  bool torn = false;
};

/// kCorrupt when the header is damaged, kIoError, kUnsupported.
Result<SegmentContent> ReadSegment(FileSystem& files, const std::string& path);

}  // namespace indoubt
