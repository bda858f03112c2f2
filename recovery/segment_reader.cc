#include "recovery/segment_reader.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace indoubt {
namespace {

constexpr size_t kSectorBytes = 512;

bool AllZero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

/// Whether a sector that lies wholly within [from, to) of the file is all zero.
bool HasLostSector(std::string_view file, size_t from, size_t to) {
  const size_t first = (from + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  for (size_t at = first; at + kSectorBytes <= to; at += kSectorBytes) {
    if (AllZero(file.substr(at, kSectorBytes))) return true;
  }
  // A short group may lie within the two sectors at its ends.
  const size_t head_end = std::min(first, to);
  return (head_end > from && AllZero(file.substr(from, head_end - from))) ||
         (to > head_end && to - head_end < kSectorBytes &&
          AllZero(file.substr(head_end, to - head_end)));
}

/// The groups of one segment's bytes, one after another.
class Scanner {
 public:
  Scanner(std::string path, std::string_view file, SegmentContent& content)
      : path_(std::move(path)), file_(file), content_(content) {}

  void Run() {
    content_.end = kSegmentHeaderBytes;
    while (content_.damage.ok() && !content_.torn && ReadGroup()) {
    }
  }

 private:
  /// Reads the group at `end`; false when nothing more is there.
  bool ReadGroup() {
    const std::string_view rest = file_.substr(std::min<size_t>(content_.end, file_.size()));
    if (AllZero(rest)) return false;
    const std::optional<GroupHead> head = DecodeGroupHead(rest);
    if (!head || !Fits(*head)) {
      repaired_ = false;
      JudgeUnreadableHead(rest);
      return repaired_;
    }
    const size_t payload_end = kGroupHeadBytes + head->payload_bytes;
    const std::string_view payload = rest.substr(
        kGroupHeadBytes, std::min<size_t>(head->payload_bytes, rest.size() - kGroupHeadBytes));
    const std::optional<GroupHead> tail = rest.size() >= payload_end + kGroupHeadBytes
                                              ? DecodeGroupTail(rest.substr(payload_end))
                                              : std::nullopt;
    const bool payload_good =
        payload.size() == head->payload_bytes && Crc32c(payload) == head->payload_crc;
    if (payload_good) return Take(*head, payload);
    const bool written_to_its_end = tail && *tail == *head;
    const size_t from = content_.end + kGroupHeadBytes;
    Judge(written_to_its_end && !HasLostSector(file_, from, from + payload.size()),
          content_.end + kGroupHeadBytes, "a group's payload has a wrong checksum");
    return false;
  }

  bool Fits(const GroupHead& head) const {
    return head.segment == static_cast<uint32_t>(content_.header.number) &&
           (first_ || head.first_sequence == content_.next_sequence);
  }

  bool Take(const GroupHead& head, std::string_view payload) {
    auto records = DecodePayload(payload, head.records);
    if (!records) {
      Judge(true, content_.end + kGroupHeadBytes, records.error().message());
      return false;
    }
    uint64_t sequence = head.first_sequence;
    for (records::Record& record : *records) {
      content_.has_checkpoint = content_.has_checkpoint || record.has_checkpoint();
      content_.records.push_back({content_.end, sequence++, std::move(record)});
    }
    first_ = false;
    content_.next_sequence = sequence;
    content_.end += 2 * kGroupHeadBytes + head.payload_bytes;
    return true;
  }

  /// The head is gone. With a whole tail behind it, the group was written to its
  /// end: if its payload holds, the tail stands in for the head.
  void JudgeUnreadableHead(std::string_view rest) {
    for (size_t at = kGroupHeadBytes; at + kGroupHeadBytes <= rest.size(); ++at) {
      if (rest[at] != 'G') continue;  // a tail's first byte
      const std::optional<GroupHead> tail = DecodeGroupTail(rest.substr(at));
      if (!tail || !Fits(*tail) || at != kGroupHeadBytes + tail->payload_bytes) continue;
      const std::string_view payload = rest.substr(kGroupHeadBytes, tail->payload_bytes);
      if (Crc32c(payload) != tail->payload_crc) break;
      repaired_ = Take(*tail, payload);
      return;
    }
    Judge(false, content_.end, "a group's head cannot be read");
  }

  /// What lies at `offset` cannot be read: damage if it is certain, or if a valid
  /// group of this segment follows; else a torn tail.
  void Judge(bool certain, uint64_t offset, const std::string& what) {
    if (!certain && !ValidGroupAfter(content_.end + 1)) {
      content_.torn = true;
      return;
    }
    content_.damage = Status(
        StatusCode::kCorrupt,
        fmt::format("{}: damaged at offset {}: {}; nothing is decided from a damaged log. "
                    "Restore the file, or look at it with `indoubt log inspect`",
                    path_, offset, what));
  }

  /// Looks at every byte: a damaged length must not hide what follows.
  bool ValidGroupAfter(uint64_t from) const {
    for (size_t at = file_.find("GRH1", from); at != std::string_view::npos;
         at = file_.find("GRH1", at + 1)) {
      const std::optional<GroupHead> head = DecodeGroupHead(file_.substr(at));
      if (head && head->segment == static_cast<uint32_t>(content_.header.number) &&
          head->first_sequence > content_.next_sequence) {
        return true;
      }
    }
    return false;
  }

  const std::string path_;
  const std::string_view file_;
  SegmentContent& content_;
  bool first_ = true;
  bool repaired_ = false;  // the tail stood in for the group's head
};

}  // namespace

Result<SegmentContent> ReadSegment(FileSystem& files, const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  INDOUBT_ASSIGN_OR_RETURN(const std::string bytes, file->ReadAt(0, size));
  SegmentContent content;
  auto header = DecodeSegmentHeader(bytes);
  if (!header) return header.error().WithContext(path + ": offset 0");
  content.header = std::move(*header);
  Scanner(path, bytes, content).Run();
  return content;
}

}  // namespace indoubt
