// Reads one segment and judges what it cannot read. A group is written only
// after its predecessor was synced, so only the last group of the last segment
// can be torn; everything else that is wrong is damage.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "recovery/log_format.h"

namespace indoubt {

/// Reads either copy of the header. kCorrupt names the file when both are
/// damaged or they name another number than `number`.
Result<log_format::SegmentHeader> ReadSegmentHeader(File& file, uint64_t number);

/// Iterates over the groups of a segment. Thread-compatible.
class SegmentReader {
 public:
  /// `file` must outlive the reader.
  SegmentReader(File& file, const log_format::SegmentHeader& header);

  /// The records of the next group; none at the end of the log, when end() and
  /// torn() tell where and why. kCorrupt names file and offset of damage that is
  /// no torn tail; kIoError.
  Result<std::optional<std::vector<log_format::RawRecord>>> Next();

  /// After kCorrupt: goes on behind the damage. False when nothing readable is there.
  Result<bool> SkipDamage();

  /// Where the next group would stand.
  uint64_t end() const { return offset_; }
  uint64_t last_sequence() const { return next_sequence_ - 1; }
  /// Why the tail was cut off at end(); empty when the log ends cleanly.
  const std::string& torn() const { return torn_; }
  /// Frames that were damaged and restored from their second copy, one line each.
  const std::vector<std::string>& repaired() const { return repaired_; }

 private:
  using Group = std::optional<std::vector<log_format::RawRecord>>;
  using FramePredicate = std::function<bool(const log_format::Frame&)>;

  Result<std::optional<log_format::Frame>> FindFrame();
  Result<Group> JudgeMissingFrame();
  Result<Group> JudgeBadPayload(const log_format::Frame& frame, uint64_t bad_offset);
  Result<std::optional<log_format::Frame>> Scan(uint64_t from, const FramePredicate& wanted);
  Result<std::optional<log_format::Frame>> LaterGroup();
  Result<bool> HasLostSector(uint64_t from, uint64_t to);
  Result<bool> IsZero(uint64_t from, uint64_t to);
  Status Damage(uint64_t offset, std::string_view what) const;
  Group CutTail(std::string why);

  File& file_;
  const log_format::SegmentHeader header_;
  uint64_t offset_ = log_format::kGroupsStart;
  uint64_t next_sequence_;
  std::string torn_;
  std::vector<std::string> repaired_;
};

}  // namespace indoubt
