// The bytes of the decision log. docs/log-format.md describes the same, for people
// with a damaged log before them.
//
//   segment  = header group*                  0000000001.log, 0000000002.log, ...
//   header   = magic "INDOUBTL" | u32 version | u32 crc | u64 segment number
//              | log id (10 bytes, padded with 0 to 16) | zeros to 64 bytes
//   group    = head payload tail
//   head     = u32 magic | u32 payload bytes | u64 first sequence | u32 records
//              | u32 payload crc | u32 segment number | u32 crc of these 28 bytes
//   tail     = the head once more, with another magic
//   payload  = record*
//   record   = u32 bytes | u32 crc of the bytes | protobuf indoubt.records.Record
//
// All integers are little-endian, all CRCs are CRC-32C. A segment begins with a
// checkpoint: everything of the log that still matters, closed by a Checkpoint
// record. It is used only once that is durable, and what came before it is removed
// before a decision enters it: so the newest segment with a whole checkpoint says
// it all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/gid.h"
#include "base/status.h"
#include "proto/records.pb.h"

namespace indoubt {

inline constexpr uint32_t kLogVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = 64;
inline constexpr size_t kGroupHeadBytes = 32;
inline constexpr size_t kRecordHeadBytes = 8;
/// A group larger than this is taken as damage.
inline constexpr uint32_t kMaxGroupBytes = 64u << 20;

struct SegmentHeader {
  uint64_t number = 0;
  LogId log;
};

struct GroupHead {
  uint32_t payload_bytes = 0;
  uint64_t first_sequence = 0;
  uint32_t records = 0;
  uint32_t payload_crc = 0;
  uint32_t segment = 0;  // low 32 bits of the segment's number
  friend bool operator==(const GroupHead&, const GroupHead&) = default;
};

std::string EncodeSegmentHeader(const SegmentHeader& header);
/// kCorrupt says what is wrong; kUnsupported for a version of the future.
Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes);

/// One record, with its length and checksum.
std::string EncodeRecord(const records::Record& record);

/// A whole group around records that EncodeRecord made.
std::string EncodeGroup(uint64_t segment, uint64_t first_sequence, uint32_t records,
                        std::string_view payload);

/// The head at the start of `bytes`, or none when there is no valid one.
std::optional<GroupHead> DecodeGroupHead(std::string_view bytes);
/// The same of a tail.
std::optional<GroupHead> DecodeGroupTail(std::string_view bytes);

/// The records of a payload whose group checksum held. kCorrupt when they do not
/// fill it exactly or one is damaged.
Result<std::vector<records::Record>> DecodePayload(std::string_view payload, uint32_t count);

/// "0000000001.log"
std::string SegmentName(uint64_t number);
/// The number in such a name, or none.
std::optional<uint64_t> ParseSegmentName(std::string_view name);

void ToProto(const Gid& gid, records::Gid& proto);
/// kCorrupt when a part is not what a gid may hold.
Result<Gid> FromProto(const records::Gid& proto);

}  // namespace indoubt
