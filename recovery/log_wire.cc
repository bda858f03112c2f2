#include "recovery/log_wire.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/check.h"

namespace indoubt {
namespace {

// Fields of proto/records.proto as tag bytes: number << 3 | wire type, where 0 is a
// number and 2 is bytes with their length before them.
constexpr char kRecordCommit = 0x0a, kRecordEnd = 0x12;
constexpr char kGidOfBody = 0x0a, kBranchOfCommit = 0x12, kRequestIdOfCommit = 0x1a,
               kRequestDigestOfCommit = 0x20;
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
  return TextBytes(gid.node.view()) + TextBytes(gid.log.text()) +
         (gid.incarnation == 0 ? 0 : 1 + NumberBytes(gid.incarnation)) +
         (gid.number == 0 ? 0 : 1 + NumberBytes(gid.number)) + TextBytes(gid.home.view());
}
size_t BranchBytes(const BranchRecord& branch) {
  return TextBytes(branch.participant) + TextBytes(branch.token);
}

/// Writes fields into memory that has been measured for them.
class Writer {
 public:
  explicit Writer(char* at) : at_(at) {}

  void Number(uint64_t number) {
    for (; number >= 0x80; number >>= 7) *at_++ = static_cast<char>(number | 0x80);
    *at_++ = static_cast<char>(number);
  }
  void Tagged(char tag, uint64_t number) {
    *at_++ = tag;
    Number(number);
  }
  void Text(char tag, std::string_view text) {
    if (text.empty()) return;
    Tagged(tag, text.size());
    at_ = std::copy(text.begin(), text.end(), at_);
  }
  void Id(const Gid& gid, size_t bytes) {
    Tagged(kGidOfBody, bytes);
    Text(kGidNode, gid.node.view());
    Text(kGidLog, gid.log.text());
    if (gid.incarnation != 0) Tagged(kGidIncarnation, gid.incarnation);
    if (gid.number != 0) Tagged(kGidNumber, gid.number);
    Text(kGidHome, gid.home.view());
  }
  const char* at() const { return at_; }

 private:
  char* at_;
};

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
  return Gid{node, *id, static_cast<uint32_t>(incarnation), number, home};
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
  decision.request.id = fields.OptionalBytes(kRequestIdOfCommit);
  const uint64_t digest = fields.OptionalNumber(kRequestDigestOfCommit);
  if (!fields.AtEnd() || !IsPlainAscii(decision.request.id) || digest > UINT32_MAX) return {};
  decision.request.digest = static_cast<uint32_t>(digest);
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
  bytes += TextBytes(decision.request.id);
  const uint32_t digest = decision.request.digest;
  if (digest != 0) bytes += 1 + NumberBytes(digest);
  std::string out(BytesBytes(bytes), '\0');
  Writer writer(out.data());
  writer.Tagged(kRecordCommit, bytes);
  writer.Id(decision.gid, gid_bytes);
  for (const BranchRecord& branch : decision.branches) {
    writer.Tagged(kBranchOfCommit, BranchBytes(branch));
    writer.Text(kBranchParticipant, branch.participant);
    writer.Text(kBranchToken, branch.token);
  }
  writer.Text(kRequestIdOfCommit, decision.request.id);
  if (digest != 0) writer.Tagged(kRequestDigestOfCommit, digest);
  INDOUBT_CHECK(writer.at() == out.data() + out.size(), "a record has the measured size");
  return out;
}

std::string EncodeWire(const EndRecord& end) {
  const size_t gid_bytes = GidBytes(end.gid);
  const size_t bytes = BytesBytes(gid_bytes);
  std::string out(BytesBytes(bytes), '\0');
  Writer writer(out.data());
  writer.Tagged(kRecordEnd, bytes);
  writer.Id(end.gid, gid_bytes);
  INDOUBT_CHECK(writer.at() == out.data() + out.size(), "a record has the measured size");
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
