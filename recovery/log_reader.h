// Reads one segment and judges what it cannot read. A group is written only
// after its predecessor was synced, so only the last group of the last segment
// can be torn; everything else that is wrong is damage. Which group was the last to be
// begun stands in the marks, far from the groups themselves.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "recovery/log_format.h"

namespace indoubt {

/// Reads either copy of the header. kCorrupt names the file when both are
/// damaged or they name another number than `number`; kRefused names the version of a
/// segment that another version of this format wrote.
Result<log_format::SegmentHeader> ReadSegmentHeader(File& file, uint64_t number);

/// Something wrong that does no harm: a copy stands, or nothing uses it.
struct HarmlessDamage {
  uint64_t offset = 0;
  std::string what;
};

/// Iterates over the groups of a segment. Thread-compatible.
class SegmentReader {
 public:
  /// Reads header and marks. Errors as ReadSegmentHeader, or kIoError. `file` must
  /// outlive the reader.
  static Result<SegmentReader> Open(File& file, uint64_t number);

  const log_format::SegmentHeader& header() const { return header_; }

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
  /// What was damaged so far and is not needed, or restored from its second copy.
  const std::vector<HarmlessDamage>& repaired() const { return repaired_; }

 private:
  using Group = std::optional<std::vector<log_format::RawRecord>>;
  using FramePredicate = std::function<bool(const log_format::Frame&)>;

  SegmentReader(File& file, const log_format::SegmentHeader& header)
      : file_(file), header_(header), next_sequence_(header.first_sequence) {}

  void ReadHead(std::string_view head);
  void NoteUnused(std::string_view bytes, uint64_t offset);
  Result<std::optional<log_format::Frame>> FindFrame();
  std::optional<std::string> ProofOfSync() const;
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
  uint64_t begun_ = 0;  // offset of the newest marked group; 0: no mark
  std::string torn_;
  std::vector<HarmlessDamage> repaired_;
};

}  // namespace indoubt
