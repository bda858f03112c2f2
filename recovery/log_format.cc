#include "recovery/log_format.h"

#include <array>
#include <charconv>
#include <cstring>

#include <boost/endian/conversion.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "base/crc32c.h"

namespace indoubt::log_format {
namespace {

constexpr std::string_view kSegmentMagic = "IDTSEG";  // and two digits: the version
constexpr size_t kMagicBytes = 8;
constexpr size_t kHeaderCrcAt = kSegmentHeaderBytes - sizeof(uint32_t);

// Each frame begins and ends with a tag of several bits, so that neither a
// lost sector (zeros) nor one flipped bit looks like the other.
struct Tags {
  std::string_view begin, end;
};
constexpr Tags kHeaderTags{"IDTG", "GRP>"};
constexpr Tags kTrailerTags{"IDTT", "END>"};
constexpr Tags kMarkTags{"IDTM", "MRK>"};
const Tags& TagsOf(FrameKind kind) {
  switch (kind) {
    case FrameKind::kHeader:
      return kHeaderTags;
    case FrameKind::kTrailer:
      return kTrailerTags;
    case FrameKind::kMark:
      break;
  }
  return kMarkTags;
}

bool IsInPlace(const Frame& frame, FrameKind kind, uint64_t position) {
  switch (kind) {
    case FrameKind::kHeader:
      return frame.offset == position;
    case FrameKind::kTrailer:
      return frame.TrailerOffset() == position;
    case FrameKind::kMark:
      break;
  }
  return true;
}

template <typename T>
void Put(std::string& out, T value) {
  boost::endian::native_to_little_inplace(value);
  std::array<char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, bytes.size());
  out.append(bytes.data(), bytes.size());
}

template <typename T>
T Get(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return boost::endian::little_to_native(value);
}

// A frame of another log or segment must not pass for one of this: they are in
// the checksum without being in the bytes.
uint32_t FrameCrc(const SegmentHeader& segment, std::string_view fields) {
  std::string covered(segment.log.text());
  Put(covered, segment.number);
  covered += fields;
  return Crc32c(covered);
}

std::string EncodeFrame(const Frame& frame, FrameKind kind, const SegmentHeader& segment) {
  std::string out(TagsOf(kind).begin);
  Put(out, frame.payload_bytes);
  Put(out, frame.first_sequence);
  Put(out, frame.records);
  Put(out, frame.payload_crc);
  Put(out, frame.offset);
  Put(out, FrameCrc(segment, out));
  out += TagsOf(kind).end;
  return out;
}

uint32_t RecordCrc(uint64_t sequence, std::string_view body) {
  std::string start;
  Put(start, static_cast<uint32_t>(body.size()));
  Put(start, sequence);
  return Crc32c(body, Crc32c(start));
}

uint64_t Padded(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

// Whether `bytes` begin with a whole header of any version.
bool IsHeader(std::string_view bytes) {
  return bytes.size() >= kSegmentHeaderBytes && bytes.starts_with(kSegmentMagic) &&
         Crc32c(bytes.substr(0, kHeaderCrcAt)) == Get<uint32_t>(bytes, kHeaderCrcAt);
}

std::string_view VersionOf(std::string_view header) {
  return header.substr(kSegmentMagic.size(), kMagicBytes - kSegmentMagic.size());
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string out(kSegmentMagic);
  out += kVersion;
  Put(out, header.number);
  Put(out, header.size);
  INDOUBT_CHECK(header.log.text().size() == kLogIdLength, "a log has an identity");
  out += header.log.text();
  Put(out, uint16_t{0});
  Put(out, header.incarnation);
  Put(out, header.first_sequence);
  Put(out, header.carried_end);
  Put(out, header.predecessor);
  Put(out, header.predecessor_end);
  Put(out, header.predecessor_last_sequence);
  out.resize(kHeaderCrcAt, '\0');
  Put(out, Crc32c(out));
  return out;
}

std::optional<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  if (!IsHeader(bytes) || VersionOf(bytes) != kVersion) return {};
  SegmentHeader header;
  header.number = Get<uint64_t>(bytes, 8);
  header.size = Get<uint64_t>(bytes, 16);
  auto log = LogId::Parse(bytes.substr(24, kLogIdLength));
  if (!log) return {};
  header.log = *log;
  header.incarnation = Get<uint32_t>(bytes, 36);
  header.first_sequence = Get<uint64_t>(bytes, 40);
  header.carried_end = Get<uint64_t>(bytes, 48);
  header.predecessor = Get<uint64_t>(bytes, 56);
  header.predecessor_end = Get<uint64_t>(bytes, 64);
  header.predecessor_last_sequence = Get<uint64_t>(bytes, 72);
  return header;
}

std::optional<std::string> OtherVersion(std::string_view bytes) {
  if (!IsHeader(bytes) || VersionOf(bytes) == kVersion) return {};
  return std::string(VersionOf(bytes));
}

uint64_t Frame::TrailerOffset() const { return offset + kFrameBytes + Padded(payload_bytes); }

std::optional<Frame> DecodeFrame(std::string_view bytes, FrameKind kind,
                                 const SegmentHeader& segment, uint64_t position) {
  const Tags& tags = TagsOf(kind);
  if (bytes.size() < kFrameBytes || !bytes.starts_with(tags.begin)) return {};
  if (bytes.substr(36, 4) != tags.end) return {};
  if (Get<uint32_t>(bytes, 32) != FrameCrc(segment, bytes.substr(0, 32))) return {};
  Frame frame;
  frame.payload_bytes = Get<uint32_t>(bytes, 4);
  frame.first_sequence = Get<uint64_t>(bytes, 8);
  frame.records = Get<uint32_t>(bytes, 16);
  frame.payload_crc = Get<uint32_t>(bytes, 20);
  frame.offset = Get<uint64_t>(bytes, 24);
  if (!IsInPlace(frame, kind, position) || frame.payload_bytes > kMaxPayloadBytes) return {};
  return frame;
}

void AppendRecord(std::string& payload, uint64_t sequence, std::string_view body) {
  INDOUBT_CHECK(body.size() <= kMaxRecordBytes, "a log record is at most 1 MiB");
  Put(payload, static_cast<uint32_t>(body.size()));
  Put(payload, RecordCrc(sequence, body));
  Put(payload, sequence);
  payload += body;
}

EncodedGroup EncodeGroup(const SegmentHeader& segment, uint64_t offset, uint64_t first_sequence,
                         uint32_t records, std::string_view payload) {
  const Frame frame{.offset = offset,
                    .payload_bytes = static_cast<uint32_t>(payload.size()),
                    .payload_crc = Crc32c(payload),
                    .first_sequence = first_sequence,
                    .records = records};
  EncodedGroup group;
  group.bytes = EncodeFrame(frame, FrameKind::kHeader, segment);
  group.bytes += payload;
  group.bytes.resize(kFrameBytes + Padded(payload.size()), '\0');
  group.bytes += EncodeFrame(frame, FrameKind::kTrailer, segment);
  group.mark = EncodeFrame(frame, FrameKind::kMark, segment);
  return group;
}

uint64_t GroupBytes(uint64_t payload_bytes) { return 2 * kFrameBytes + Padded(payload_bytes); }

std::optional<uint64_t> DecodeRecords(const Frame& frame, std::string_view payload,
                                      std::vector<RawRecord>& records) {
  size_t at = 0;
  for (uint32_t i = 0; i < frame.records; ++i) {
    const uint64_t offset = frame.offset + kFrameBytes + at;
    if (payload.size() - at < kRecordHeaderBytes) return offset;
    const auto length = Get<uint32_t>(payload, at);
    const auto sequence = Get<uint64_t>(payload, at + 8);
    if (payload.size() - at - kRecordHeaderBytes < length) return offset;
    const std::string_view body = payload.substr(at + kRecordHeaderBytes, length);
    if (RecordCrc(sequence, body) != Get<uint32_t>(payload, at + 4)) return offset;
    if (sequence != frame.first_sequence + i) return offset;
    records.push_back(RawRecord{offset, sequence, std::string(body)});
    at += kRecordHeaderBytes + length;
  }
  if (at != payload.size()) return frame.offset + kFrameBytes + at;
  return {};
}

std::string SegmentName(uint64_t number) { return fmt::format("segment-{:010}", number); }

std::optional<uint64_t> ParseSegmentName(std::string_view name) {
  constexpr std::string_view kPrefix = "segment-";
  if (!name.starts_with(kPrefix)) return {};
  const std::string_view digits = name.substr(kPrefix.size());
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || SegmentName(number) != name) return {};
  return number;
}

}  // namespace indoubt::log_format
