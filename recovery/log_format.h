// The bytes of a log segment, as docs/log-format.md describes them: a header in
// two copies, two marks, then groups of records. All integers are little-endian.
// Segments are zero-filled before use and never reused, so a zero is a byte that
// was never written. Only the marks are written more than once.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/gid.h"
#include "base/status.h"

namespace indoubt::log_format {

inline constexpr uint64_t kSegmentHeaderBytes = 128;
inline constexpr uint64_t kSectorBytes = 512;  // what a disk writes whole or not at all
inline constexpr uint64_t kSegmentHeaderCopyAt = 512;
inline constexpr std::array<uint64_t, 2> kMarksAt{1024, 1536};
inline constexpr uint64_t kGroupsStart = 2048;
inline constexpr uint64_t kMinSegmentBytes = 4096;
inline constexpr uint64_t kFrameBytes = 40;  // before and after each group's payload
inline constexpr uint64_t kRecordHeaderBytes = 16;
inline constexpr uint64_t kMaxRecordBytes = 1 << 20;
inline constexpr uint64_t kMaxPayloadBytes = 2 * kMaxRecordBytes;

/// The first 128 bytes of a segment.
struct SegmentHeader {
  uint64_t number = 0;  // from 1, one higher for each segment of a log
  uint64_t size = 0;    // of the file, in bytes
  LogId log;
  uint32_t incarnation = 0;
  uint64_t first_sequence = 0;  // of the first record in this segment
  /// End of what was carried from the predecessor. All of it was synced before
  /// the segment got its name: nothing before this offset can be a torn tail.
  uint64_t carried_end = 0;
  uint64_t predecessor = 0;  // 0: this is the log's first segment
  uint64_t predecessor_end = 0;
  uint64_t predecessor_last_sequence = 0;
};

std::string EncodeSegmentHeader(const SegmentHeader& header);
/// None when the bytes are not a whole, undamaged header of this version.
std::optional<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);
/// The version of this format: the two digits that end the magic.
inline constexpr std::string_view kVersion = "02";
/// The version of a whole, undamaged header of another version; none otherwise.
/// Every version keeps its first 8 bytes and its checksum where they are.
std::optional<std::string> OtherVersion(std::string_view bytes);

/// What stands before and, a second time, after a group's payload; and, for the last
/// two groups, a third time at kMarksAt, in turn. The groups before a marked one were
/// synced before it was written: a mark tells how far the log must reach.
struct Frame {
  uint64_t offset = 0;  // of the group: where its predecessor ends
  uint32_t payload_bytes = 0;
  uint32_t payload_crc = 0;
  uint64_t first_sequence = 0;
  uint32_t records = 0;

  uint64_t TrailerOffset() const;
  uint64_t End() const { return TrailerOffset() + kFrameBytes; }
};
enum class FrameKind { kHeader, kTrailer, kMark };

/// None unless `bytes` start with an undamaged frame of this kind and segment
/// that stands at file offset `position` (of a mark: wherever it stands).
std::optional<Frame> DecodeFrame(std::string_view bytes, FrameKind kind,
                                 const SegmentHeader& segment, uint64_t position);

/// Appends one record (header and body) to a group's payload.
void AppendRecord(std::string& payload, uint64_t sequence, std::string_view body);
struct EncodedGroup {
  std::string bytes;  // the whole group: frame, payload, padding, frame
  std::string mark;   // of this group
};
EncodedGroup EncodeGroup(const SegmentHeader& segment, uint64_t offset, uint64_t first_sequence,
                         uint32_t records, std::string_view payload);
/// Bytes of a group with that much payload.
uint64_t GroupBytes(uint64_t payload_bytes);

struct RawRecord {
  uint64_t offset = 0;  // in the file
  uint64_t sequence = 0;
  std::string body;
};
/// Splits a payload into its records. On damage the records before it are in
/// `records` and the result is the file offset of the damaged one.
std::optional<uint64_t> DecodeRecords(const Frame& frame, std::string_view payload,
                                      std::vector<RawRecord>& records);

/// "segment-0000000007"
std::string SegmentName(uint64_t number);
/// None when `name` is no segment's.
std::optional<uint64_t> ParseSegmentName(std::string_view name);
/// What a segment is called until it is whole and durable.
inline constexpr std::string_view kUnfinishedName = "segment.new";
inline constexpr std::string_view kLockName = "lock";

}  // namespace indoubt::log_format
