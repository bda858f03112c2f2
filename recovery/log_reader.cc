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
using log_format::kGroupsStart;
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
  std::optional<std::string> version;
  for (const uint64_t at : {uint64_t{0}, log_format::kSegmentHeaderCopyAt}) {
    INDOUBT_ASSIGN_OR_RETURN(const std::string bytes,
                             file.ReadAt(at, log_format::kSegmentHeaderBytes));
    const auto header = log_format::DecodeSegmentHeader(bytes);
    if (header && header->number == number) return *header;
    if (!version) version = log_format::OtherVersion(bytes);
  }
  if (version) {
    return Status(StatusCode::kRefused,
                  fmt::format("{}: offset 6: is of format version {}, and this indoubt reads "
                              "{}: use the one that wrote it",
                              file.path(), *version, log_format::kVersion));
  }
  return Status(
      StatusCode::kCorrupt,
      fmt::format("{}: damaged at offset 0: no copy of the segment's header is whole; "
                  "restore the file from a backup, nothing was presumed",
                  file.path()));
}

Result<SegmentReader> SegmentReader::Open(File& file, uint64_t number) {
  INDOUBT_ASSIGN_OR_RETURN(const SegmentHeader header, ReadSegmentHeader(file, number));
  SegmentReader reader(file, header);
  INDOUBT_ASSIGN_OR_RETURN(const std::string head, file.ReadAt(0, kGroupsStart));
  reader.ReadHead(head);
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  if (size != header.size) {
    reader.repaired_.push_back(
        {size, fmt::format("the file ends here, and should at {}", header.size)});
  }
  return reader;
}

// The marks, and what is wrong with everything before the groups.
void SegmentReader::ReadHead(std::string_view head) {
  std::string whole(head);
  whole.resize(kGroupsStart, '\0');
  const std::string_view view(whole);
  for (const uint64_t at : {uint64_t{0}, log_format::kSegmentHeaderCopyAt}) {
    if (!log_format::DecodeSegmentHeader(view.substr(at))) {
      repaired_.push_back(
          {at, "this copy of the segment's header is damaged, the other is not"});
    }
    const uint64_t end = at + log_format::kSegmentHeaderBytes;
    NoteUnused(view.substr(end, at + kSectorBytes - end), end);
  }
  for (const uint64_t at : log_format::kMarksAt) {
    const auto mark = DecodeFrame(view.substr(at), FrameKind::kMark, header_, at);
    if (mark) begun_ = std::max(begun_, mark->offset);
    if (!mark && !AllZero(view.substr(at, kFrameBytes))) {
      repaired_.push_back({at, "a mark is damaged; the groups are judged without it"});
    }
    const uint64_t end = at + kFrameBytes;
    NoteUnused(view.substr(end, at + kSectorBytes - end), end);
  }
}

void SegmentReader::NoteUnused(std::string_view bytes, uint64_t offset) {
  const size_t at = bytes.find_first_not_of('\0');
  if (at != std::string_view::npos) {
    repaired_.push_back({offset + at, "a byte that nothing uses is not zero"});
  }
}

Result<std::optional<std::vector<RawRecord>>> SegmentReader::Next() {
  INDOUBT_ASSIGN_OR_RETURN(const auto frame, FindFrame());
  if (!frame) return JudgeMissingFrame();
  const uint64_t begin = frame->offset + kFrameBytes;
  INDOUBT_ASSIGN_OR_RETURN(const std::string bytes, file_.ReadAt(begin, frame->End() - begin));
  const std::string_view payload = std::string_view(bytes).substr(0, frame->payload_bytes);
  std::vector<RawRecord> records;
  const auto bad = log_format::DecodeRecords(*frame, payload, records);
  if (bad || Crc32c(payload) != frame->payload_crc) {
    return JudgeBadPayload(*frame, bad.value_or(frame->offset));
  }
  if (frame->first_sequence != next_sequence_) {
    return Damage(offset_, fmt::format("record {} stands where {} belongs",
                                       frame->first_sequence, next_sequence_));
  }
  const uint64_t trailer = std::min<uint64_t>(frame->TrailerOffset() - begin, bytes.size());
  const std::string_view rest(bytes);
  NoteUnused(rest.substr(payload.size(), trailer - payload.size()), begin + payload.size());
  if (!DecodeFrame(rest.substr(trailer), FrameKind::kTrailer, header_,
                   frame->TrailerOffset())) {
    repaired_.push_back(
        {frame->TrailerOffset(), "the group's second header is damaged, its first is not"});
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
    repaired_.push_back({offset_, "the group's header was restored from its second copy"});
  }
  return frame;
}

// Why the group at offset_ must have been durable; none when it may be the last one that
// was begun, whose sync perhaps never returned.
std::optional<std::string> SegmentReader::ProofOfSync() const {
  if (offset_ < header_.carried_end) return "was synced before the segment got its name";
  if (offset_ < begun_) return "was synced before another was begun";
  return {};
}

// Neither frame of the group at offset_ is readable: the clean end of the log, a
// write that the disk never finished, or damage.
Result<SegmentReader::Group> SegmentReader::JudgeMissingFrame() {
  if (const auto proof = ProofOfSync()) {
    return Damage(offset_, "a group is unreadable that " + *proof);
  }
  INDOUBT_ASSIGN_OR_RETURN(const bool clean, IsZero(offset_, header_.size));
  if (clean && offset_ == begun_) return CutTail("nothing of the last group was ever written");
  if (clean) return Group();
  INDOUBT_ASSIGN_OR_RETURN(const auto later, LaterGroup());
  if (later) return Damage(offset_, "a group is unreadable that has another behind it");
  INDOUBT_ASSIGN_OR_RETURN(const bool lost, HasLostSector(offset_, offset_ + kFrameBytes));
  if (lost) return CutTail("the last group was never wholly written");
  return Damage(offset_, "both headers of the last group are unreadable");
}

Result<SegmentReader::Group> SegmentReader::JudgeBadPayload(const Frame& frame,
                                                            uint64_t bad_offset) {
  if (const auto proof = ProofOfSync()) {
    return Damage(bad_offset, "a record is damaged whose group " + *proof);
  }
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
