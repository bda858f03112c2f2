// A segment as the log writes it, around records of any content, so that what is behind
// the checksums is reached; then with one byte of it damaged. The input: damage (place,
// 4 bytes; mask, 1 byte; 0: none), then records (length, 2 bytes; a group ends behind it
// when the top bit is set; body).
#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "recovery/segment.h"
#include "tests/fuzz/log_in_memory.h"

namespace indoubt {
namespace {

constexpr uint64_t kNumber = 7;

using Groups = std::vector<std::vector<std::string>>;

Groups Split(std::string_view input) {
  Groups groups;
  bool ends = true;
  while (input.size() >= 2) {
    const auto low = static_cast<unsigned char>(input[0]);
    const auto high = static_cast<unsigned char>(input[1]);
    const size_t length = std::min<size_t>((high & 0x7f) << 8 | low, input.size() - 2);
    if (ends) groups.emplace_back();
    groups.back().emplace_back(input.substr(2, length));
    input.remove_prefix(2 + length);
    ends = (high & 0x80) != 0;
  }
  return groups;
}

/// The first group is what was carried from the segment before.
void WriteGroups(FakeFileSystem& disk, const Groups& groups) {
  log_format::SegmentHeader header;
  header.number = kNumber;
  header.size = 8192;
  for (const auto& group : groups) header.size += log_format::GroupBytes(PayloadBytes(group));
  header.log = *LogId::Parse("k3j5x2a7qz");
  header.incarnation = 3;
  header.first_sequence = 100;
  INDOUBT_CHECK(disk.CreateDirectory(fuzz::kFolder).ok(), "a disk in memory takes a folder");
  auto writer = SegmentWriter::Create(disk, fuzz::kFolder, header, groups.front());
  INDOUBT_CHECK(writer.has_value(), writer.status().ToString());
  for (size_t i = 1; i < groups.size(); ++i) {
    INDOUBT_CHECK((*writer)->Append(groups[i]).ok() && (*writer)->Sync().ok(),
                  "a disk in memory takes a group");
  }
}

void Damage(FakeFileSystem& disk, uint64_t place, unsigned char mask) {
  const std::string path = fuzz::kFolder + "/" + log_format::SegmentName(kNumber);
  const std::string bytes = disk.Contents(path);
  const uint64_t offset = place % bytes.size();
  const auto damaged = static_cast<char>(static_cast<unsigned char>(bytes[offset]) ^ mask);
  disk.Overwrite(path, offset, std::string(1, damaged));
}

/// How many records inspection finds, and whether it says that bytes are damaged.
struct Seen {
  size_t records = 0;
  bool damage = false;
};

Seen Inspect(FakeFileSystem& disk) {
  const auto shown = InspectLog(disk, fuzz::kFolder);
  INDOUBT_CHECK(shown.has_value(), shown.status().ToString());
  Seen seen;
  for (const InspectedRecord& record : *shown) {
    if (record.sequence > 0) ++seen.records;
    if (record.kind == "damage" && record.sequence == 0) seen.damage = true;
  }
  return seen;
}

}  // namespace
}  // namespace indoubt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace indoubt;  // NOLINT(google-build-using-namespace): a program's own file
  if (size < 5) return 0;
  const uint32_t place = data[0] | data[1] << 8 | data[2] << 16;
  const uint8_t mask = data[4];
  const Groups groups =
      Split(std::string_view(reinterpret_cast<const char*>(data) + 5, size - 5));
  if (groups.empty()) return 0;
  size_t all = 0;
  for (const auto& group : groups) all += group.size();
  FakeFileSystem disk;
  WriteGroups(disk, groups);
  if (mask != 0) Damage(disk, place, mask);
  const Seen seen = Inspect(disk);
  if (mask == 0) INDOUBT_CHECK(seen.records == all && !seen.damage, "what was written is read");
  if (!seen.damage) {
    // One wrong byte that is not called damage may cost the last group, never more.
    INDOUBT_CHECK(seen.records == all || seen.records == all - groups.back().size(),
                  "only the last group may be cut off");
  }
  fuzz::OpenTwice(disk, kNumber);
  return 0;
}
