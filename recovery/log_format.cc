#include "recovery/log_format.h"

#include <bit>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "base/crc32c.h"

namespace indoubt {
namespace {

static_assert(std::endian::native == std::endian::little, "the log is little-endian");

constexpr std::string_view kSegmentMagic = "INDOUBTL";
constexpr uint32_t kHeadMagic = 0x31485247;  // "GRH1"
constexpr uint32_t kTailMagic = 0x31545247;  // "GRT1"
constexpr size_t kLogIdBytes = 10;
constexpr size_t kNameDigits = 10;

template <typename Int>
void Put(std::string& bytes, Int value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename Int>
Int Get(std::string_view bytes, size_t offset) {
  Int value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

Status Corrupt(std::string what) { return Status(StatusCode::kCorrupt, std::move(what)); }

std::string EncodeHead(uint32_t magic, const GroupHead& head) {
  std::string bytes;
  Put(bytes, magic);
  Put(bytes, head.payload_bytes);
  Put(bytes, head.first_sequence);
  Put(bytes, head.records);
  Put(bytes, head.payload_crc);
  Put(bytes, head.segment);
  Put(bytes, Crc32c(bytes));
  return bytes;
}

std::optional<GroupHead> DecodeHead(uint32_t magic, std::string_view bytes) {
  if (bytes.size() < kGroupHeadBytes || Get<uint32_t>(bytes, 0) != magic) return std::nullopt;
  if (Crc32c(bytes.substr(0, 28)) != Get<uint32_t>(bytes, 28)) return std::nullopt;
  GroupHead head{Get<uint32_t>(bytes, 4), Get<uint64_t>(bytes, 8), Get<uint32_t>(bytes, 16),
                 Get<uint32_t>(bytes, 20), Get<uint32_t>(bytes, 24)};
  if (head.payload_bytes > kMaxGroupBytes) return std::nullopt;
  return head;
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string rest;
  Put(rest, header.number);
  std::string id = header.log.text();
  id.resize(16, '\0');
  rest += id;
  std::string bytes(kSegmentMagic);
  Put(bytes, kLogVersion);
  Put(bytes, Crc32c(bytes + rest));
  bytes += rest;
  bytes.resize(kSegmentHeaderBytes, '\0');
  return bytes;
}

Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes) return Corrupt("the segment's header is cut off");
  if (bytes.substr(0, 8) != kSegmentMagic) return Corrupt("this is no segment of a log");
  const uint32_t version = Get<uint32_t>(bytes, 8);
  const std::string checked =
      std::string(bytes.substr(0, 12)) + std::string(bytes.substr(16, 24));
  if (Crc32c(checked) != Get<uint32_t>(bytes, 12)) {
    return Corrupt("the segment's header has a wrong checksum");
  }
  if (version != kLogVersion) {
    return Status(StatusCode::kUnsupported,
                  fmt::format("log format {} is not known to this version (it writes {})",
                              version, kLogVersion));
  }
  auto id = LogId::Parse(bytes.substr(24, kLogIdBytes));
  if (!id) return Corrupt("the segment's header holds no log identity");
  return SegmentHeader{Get<uint64_t>(bytes, 16), *id};
}

std::string EncodeRecord(const records::Record& record) {
  const std::string body = record.SerializeAsString();
  std::string bytes;
  Put(bytes, static_cast<uint32_t>(body.size()));
  Put(bytes, Crc32c(body));
  return bytes + body;
}

std::string EncodeGroup(uint64_t segment, uint64_t first_sequence, uint32_t records,
                        std::string_view payload) {
  const GroupHead head{static_cast<uint32_t>(payload.size()), first_sequence, records,
                       Crc32c(payload), static_cast<uint32_t>(segment)};
  std::string bytes = EncodeHead(kHeadMagic, head);
  bytes += payload;
  bytes += EncodeHead(kTailMagic, head);
  return bytes;
}

std::optional<GroupHead> DecodeGroupHead(std::string_view bytes) {
  return DecodeHead(kHeadMagic, bytes);
}

std::optional<GroupHead> DecodeGroupTail(std::string_view bytes) {
  return DecodeHead(kTailMagic, bytes);
}

Result<std::vector<records::Record>> DecodePayload(std::string_view payload, uint32_t count) {
  std::vector<records::Record> records;
  while (!payload.empty()) {
    if (payload.size() < kRecordHeadBytes) return Corrupt("a record's head is cut off");
    const uint32_t size = Get<uint32_t>(payload, 0);
    const uint32_t crc = Get<uint32_t>(payload, 4);
    payload.remove_prefix(kRecordHeadBytes);
    if (size > payload.size()) return Corrupt("a record is longer than its group");
    const std::string_view body = payload.substr(0, size);
    payload.remove_prefix(size);
    if (Crc32c(body) != crc) return Corrupt("a record has a wrong checksum");
    records::Record record;
    if (!record.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      return Corrupt("a record cannot be read");
    }
    records.push_back(std::move(record));
  }
  if (records.size() != count) return Corrupt("a group holds another number of records");
  return records;
}

std::string SegmentName(uint64_t number) { return fmt::format("{:010}.log", number); }

std::optional<uint64_t> ParseSegmentName(std::string_view name) {
  uint64_t number = 0;
  if (name.size() != kNameDigits + 4 || !name.ends_with(".log")) return std::nullopt;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kNameDigits, number);
  if (error != std::errc() || end != name.data() + kNameDigits) return std::nullopt;
  return number;
}

void ToProto(const Gid& gid, records::Gid& proto) {
  proto.set_node(gid.node);
  proto.set_log(gid.log.text());
  proto.set_incarnation(gid.incarnation);
  proto.set_number(gid.number);
}

Result<Gid> FromProto(const records::Gid& proto) {
  auto id = LogId::Parse(proto.log());
  if (!id || !IsValidName(proto.node())) return Corrupt("a record names no valid gid");
  return Gid{proto.node(), *id, proto.incarnation(), proto.number()};
}

}  // namespace indoubt
