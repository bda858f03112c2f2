#include "recovery/log_reader.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/crc32c.h"

namespace indoubt {

using log_format::DecodeFrame;
using log_format::Frame;
using log_format::FrameKind;
using log_format::kFrameBytes;
using log_format::kSectorBytes;
using log_format::RawRecord;
using log_format::SegmentHeader;

namespace {

constexpr uint64_t kWindowBytes = 256 << 10;

bool AllZero(std::string_view bytes) {
  // A byte equal to its neighbour, all along: the library's memcmp is the fast loop.
  return bytes.empty() || (bytes[0] == '\0' &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

Result<SegmentHeader> ReadSegmentHeader(File& file, uint64_t number) {
  for (const uint64_t at : {uint64_t{0}, log_format::kSegmentHeaderCopyAt}) {
    INDOUBT_ASSIGN_OR_RETURN(const std::string bytes,
                             file.ReadAt(at, log_format::kSegmentHeaderBytes));
    const auto header = log_format::DecodeSegmentHeader(bytes);
    if (header && header->number == number) return *header;
  }
  return Status(
      StatusCode::kCorrupt,
      fmt::format("{}: damaged at offset 0: no copy of the segment's header is whole; "
                  "restore the file from a backup, nothing was presumed",
                  file.path()));
}

SegmentReader::SegmentReader(File& file, const SegmentHeader& header)
    : file_(file), header_(header), next_sequence_(header.first_sequence) {}

Result<std::optional<std::vector<RawRecord>>> SegmentReader::Next() {
  INDOUBT_ASSIGN_OR_RETURN(const auto frame, FindFrame());
  if (!frame) return JudgeMissingFrame();
  INDOUBT_ASSIGN_OR_RETURN(const std::string payload,
                           file_.ReadAt(frame->offset + kFrameBytes, frame->payload_bytes));
  std::vector<RawRecord> records;
  const auto bad = log_format::DecodeRecords(*frame, payload, records);
  if (bad || Crc32c(payload) != frame->payload_crc) {
    return JudgeBadPayload(*frame, bad.value_or(frame->offset));
  }
  if (frame->first_sequence != next_sequence_) {
    return Damage(offset_, fmt::format("record {} stands where {} belongs",
                                       frame->first_sequence, next_sequence_));
  }
  next_sequence_ += records.size();
  offset_ = frame->End();
  return Group(std::move(records));
}

// The header of the group at offset_, or else its trailer, which says the same.
Result<std::optional<Frame>> SegmentReader::FindFrame() {
  INDOUBT_ASSIGN_OR_RETURN(const std::string bytes, file_.ReadAt(offset_, kFrameBytes));
  auto frame = DecodeFrame(bytes, FrameKind::kHeader, header_, offset_);
  if (frame) return frame;
  if (AllZero(bytes)) {
    INDOUBT_ASSIGN_OR_RETURN(const bool nothing_more, IsZero(offset_, header_.size));
    if (nothing_more) return frame;
  }
  INDOUBT_ASSIGN_OR_RETURN(
      frame, Scan(offset_ + kFrameBytes, [&](const Frame& f) { return f.offset == offset_; }));
  if (frame) {
    repaired_.push_back(fmt::format("{}: offset {}: group header restored from its copy",
                                    file_.path(), offset_));
  }
  return frame;
}

// Neither frame of the group at offset_ is readable: the clean end of the log, a
// write that the disk never finished, or damage.
Result<SegmentReader::Group> SegmentReader::JudgeMissingFrame() {
  if (offset_ < header_.carried_end) return Damage(offset_, "a synced group is unreadable");
  INDOUBT_ASSIGN_OR_RETURN(const bool clean, IsZero(offset_, header_.size));
  if (clean) return Group();
  INDOUBT_ASSIGN_OR_RETURN(const auto later, LaterGroup());
  if (later) return Damage(offset_, "a group is unreadable that has another behind it");
  INDOUBT_ASSIGN_OR_RETURN(const bool lost, HasLostSector(offset_, offset_ + kFrameBytes));
  if (lost) return CutTail("the last group was never wholly written");
  return Damage(offset_, "both headers of the last group are unreadable");
}

Result<SegmentReader::Group> SegmentReader::JudgeBadPayload(const Frame& frame,
                                                            uint64_t bad_offset) {
  if (offset_ < header_.carried_end) return Damage(bad_offset, "a synced record is damaged");
  INDOUBT_ASSIGN_OR_RETURN(const auto later, LaterGroup());
  if (later) return Damage(bad_offset, "a record is damaged that has others behind it");
  INDOUBT_ASSIGN_OR_RETURN(const bool lost, HasLostSector(frame.offset, frame.End()));
  if (lost) return CutTail("the last group was never wholly written");
  return Damage(bad_offset,
                "a record of the last group is damaged, and no write was cut short");
}

// Whether a write of [from, to) was cut short. An intact group has no sector that
// is all zero (its first and its last 8 bytes are not, and no token is 512 long)
// and does not end in a zero, so either shows bytes that never reached the disk.
Result<bool> SegmentReader::HasLostSector(uint64_t from, uint64_t to) {
  INDOUBT_ASSIGN_OR_RETURN(const bool ends_in_zero, IsZero(to - 1, to));
  if (ends_in_zero) return true;
  for (uint64_t at = from; at < to;) {
    const uint64_t sector_end = (at / kSectorBytes + 1) * kSectorBytes;
    INDOUBT_ASSIGN_OR_RETURN(const bool zero, IsZero(at, sector_end));
    if (zero) return true;
    at = sector_end;
  }
  return false;
}

// Bytes behind the end of the file count as zero.
Result<bool> SegmentReader::IsZero(uint64_t from, uint64_t to) {
  while (from < to) {
    INDOUBT_ASSIGN_OR_RETURN(const std::string bytes,
                             file_.ReadAt(from, std::min(to - from, kWindowBytes)));
    if (!AllZero(bytes)) return false;
    if (bytes.empty()) break;
    from += bytes.size();
  }
  return true;
}

// The first frame at or behind `from` that `wanted` accepts. Groups are 8-aligned.
Result<std::optional<Frame>> SegmentReader::Scan(uint64_t from, const FramePredicate& wanted) {
  for (uint64_t at = from;; at += kWindowBytes) {
    INDOUBT_ASSIGN_OR_RETURN(const std::string bytes,
                             file_.ReadAt(at, kWindowBytes + kFrameBytes));
    const std::string_view view = AllZero(bytes) ? std::string_view() : bytes;
    for (uint64_t i = 0; i < kWindowBytes && i + kFrameBytes <= view.size(); i += 8) {
      if (view[i] == '\0') continue;
      for (const FrameKind kind : {FrameKind::kHeader, FrameKind::kTrailer}) {
        const auto frame = DecodeFrame(view.substr(i), kind, header_, at + i);
        if (frame && wanted(*frame)) return frame;
      }
    }
    if (bytes.size() < kWindowBytes + kFrameBytes) return std::optional<Frame>();
  }
}

Result<std::optional<Frame>> SegmentReader::LaterGroup() {
  return Scan(offset_ + 8, [&](const Frame& f) { return f.offset > offset_; });
}

Result<bool> SegmentReader::SkipDamage() {
  INDOUBT_ASSIGN_OR_RETURN(const auto later, LaterGroup());
  if (!later) return false;
  offset_ = later->offset;
  next_sequence_ = later->first_sequence;
  return true;
}

Status SegmentReader::Damage(uint64_t offset, std::string_view what) const {
  return Status(StatusCode::kCorrupt,
                fmt::format("{}: damaged at offset {}: {}; restore the file from a backup, "
                            "nothing was presumed",
                            file_.path(), offset, what));
}

SegmentReader::Group SegmentReader::CutTail(std::string why) {
  torn_ = std::move(why);
  return {};
}

}  // namespace indoubt
