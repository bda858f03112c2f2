#include "recovery/log_wire.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace indoubt {
namespace {

// Fields of proto/records.proto as tag bytes: number << 3 | wire type, where 0 is a
// number and 2 is bytes with their length before them.
constexpr char kRecordCommit = 0x0a, kRecordEnd = 0x12;
constexpr char kGidOfBody = 0x0a, kBranchOfCommit = 0x12, kRequestIdOfCommit = 0x1a;
constexpr char kGidNode = 0x0a, kGidLog = 0x12, kGidIncarnation = 0x18, kGidNumber = 0x20,
               kGidHome = 0x2a;
constexpr char kBranchParticipant = 0x0a, kBranchToken = 0x12;

size_t NumberBytes(uint64_t number) {
  size_t bytes = 1;
  for (; number >= 0x80; number >>= 7) ++bytes;
  return bytes;
}
size_t BytesBytes(size_t length) { return 1 + NumberBytes(length) + length; }
// A field with its default value is not written.
size_t TextBytes(std::string_view text) { return text.empty() ? 0 : BytesBytes(text.size()); }

size_t GidBytes(const Gid& gid) {
  return TextBytes(gid.node) + TextBytes(gid.log.text()) +
         (gid.incarnation == 0 ? 0 : 1 + NumberBytes(gid.incarnation)) +
         (gid.number == 0 ? 0 : 1 + NumberBytes(gid.number)) + TextBytes(gid.home);
}
size_t BranchBytes(const BranchRecord& branch) {
  return TextBytes(branch.participant) + TextBytes(branch.token);
}

void PutNumber(std::string& out, uint64_t number) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<char>(number | 0x80));
  out.push_back(static_cast<char>(number));
}
void PutLength(std::string& out, char tag, size_t length) {
  out.push_back(tag);
  PutNumber(out, length);
}
void PutText(std::string& out, char tag, std::string_view text) {
  if (text.empty()) return;
  PutLength(out, tag, text.size());
  out += text;
}
void PutGid(std::string& out, const Gid& gid, size_t bytes) {
  PutLength(out, kGidOfBody, bytes);
  PutText(out, kGidNode, gid.node);
  PutText(out, kGidLog, gid.log.text());
  if (gid.incarnation != 0) {
    out.push_back(kGidIncarnation);
    PutNumber(out, gid.incarnation);
  }
  if (gid.number != 0) {
    out.push_back(kGidNumber);
    PutNumber(out, gid.number);
  }
  PutText(out, kGidHome, gid.home);
}

/// Reads fields one after another; once something is not as expected, nothing is.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}

  bool AtEnd() const { return good_ && bytes_.empty(); }
  bool Next(char tag) const { return good_ && !bytes_.empty() && bytes_.front() == tag; }

  std::string_view Bytes(char tag) {
    const uint64_t length = Tagged(tag);
    if (length > bytes_.size()) good_ = false;
    if (!good_) return {};
    const std::string_view field = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return field;
  }
  std::string_view OptionalBytes(char tag) { return Next(tag) ? Bytes(tag) : ""; }
  uint64_t OptionalNumber(char tag) { return Next(tag) ? Tagged(tag) : 0; }

 private:
  // The number that follows the tag.
  uint64_t Tagged(char tag) {
    if (!Next(tag)) good_ = false;
    if (!good_) return 0;
    bytes_.remove_prefix(1);
    uint64_t number = 0;
    for (int shift = 0; shift < 63 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      number |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return number;
    }
    good_ = false;
    return 0;
  }

  std::string_view bytes_;
  bool good_ = true;
};

std::optional<Gid> ReadGid(std::string_view bytes) {
  Fields fields(bytes);
  const std::string_view node = fields.OptionalBytes(kGidNode);
  const std::string_view log = fields.OptionalBytes(kGidLog);
  const uint64_t incarnation = fields.OptionalNumber(kGidIncarnation);
  const uint64_t number = fields.OptionalNumber(kGidNumber);
  const std::string_view home = fields.OptionalBytes(kGidHome);
  if (!fields.AtEnd() || !IsValidName(node) || incarnation > UINT32_MAX) return {};
  if (!home.empty() && !IsValidHome(home)) return {};
  auto id = LogId::Parse(log);
  if (!id) return {};
  return Gid{std::string(node), std::move(*id), static_cast<uint32_t>(incarnation), number,
             std::string(home)};
}

std::optional<BranchRecord> ReadBranch(std::string_view bytes) {
  Fields fields(bytes);
  const std::string_view participant = fields.OptionalBytes(kBranchParticipant);
  const std::string_view token = fields.OptionalBytes(kBranchToken);
  // Protobuf refuses text that is not UTF-8; a name is less than that.
  if (!fields.AtEnd() || !IsValidName(participant)) return {};
  return BranchRecord{std::string(participant), Token(token)};
}

/// Protobuf refuses text that is not UTF-8, so it is asked about everything else.
bool IsPlainAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::optional<LogRecord> ReadCommit(std::string_view bytes) {
  Fields fields(bytes);
  auto gid = ReadGid(fields.Bytes(kGidOfBody));
  if (!gid) return {};
  Decision decision{std::move(*gid), {}};
  decision.branches.reserve(4);
  while (fields.Next(kBranchOfCommit)) {
    auto branch = ReadBranch(fields.Bytes(kBranchOfCommit));
    if (!branch) return {};
    decision.branches.push_back(std::move(*branch));
  }
  decision.request_id = fields.OptionalBytes(kRequestIdOfCommit);
  if (!fields.AtEnd() || !IsPlainAscii(decision.request_id)) return {};
  return LogRecord(std::move(decision));
}

std::optional<LogRecord> ReadEnd(std::string_view bytes) {
  Fields fields(bytes);
  auto gid = ReadGid(fields.Bytes(kGidOfBody));
  if (!gid || !fields.AtEnd()) return {};
  return LogRecord(EndRecord{std::move(*gid)});
}

}  // namespace

std::string EncodeWire(const Decision& decision) {
  const size_t gid_bytes = GidBytes(decision.gid);
  size_t bytes = BytesBytes(gid_bytes);
  for (const BranchRecord& branch : decision.branches) bytes += BytesBytes(BranchBytes(branch));
  bytes += TextBytes(decision.request_id);
  std::string out;
  out.reserve(BytesBytes(bytes));
  PutLength(out, kRecordCommit, bytes);
  PutGid(out, decision.gid, gid_bytes);
  for (const BranchRecord& branch : decision.branches) {
    PutLength(out, kBranchOfCommit, BranchBytes(branch));
    PutText(out, kBranchParticipant, branch.participant);
    PutText(out, kBranchToken, branch.token);
  }
  PutText(out, kRequestIdOfCommit, decision.request_id);
  return out;
}

std::string EncodeWire(const EndRecord& end) {
  const size_t gid_bytes = GidBytes(end.gid);
  std::string out;
  out.reserve(BytesBytes(BytesBytes(gid_bytes)));
  PutLength(out, kRecordEnd, BytesBytes(gid_bytes));
  PutGid(out, end.gid, gid_bytes);
  return out;
}

std::optional<LogRecord> DecodeWire(std::string_view body) {
  Fields record(body);
  const bool commit = record.Next(kRecordCommit);
  const std::string_view bytes = record.Bytes(commit ? kRecordCommit : kRecordEnd);
  if (!record.AtEnd()) return {};
  return commit ? ReadCommit(bytes) : ReadEnd(bytes);
}

}  // namespace indoubt
