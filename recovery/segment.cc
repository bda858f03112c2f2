#include "recovery/segment.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "base/failpoint.h"

namespace indoubt {

using log_format::SegmentHeader;

namespace {

constexpr uint64_t kFillBytes = 1 << 20;

// A checkpoint's groups are short: each is in memory twice while it is written.
constexpr uint64_t kCarriedGroupBytes = 256 << 10;
static_assert(kCarriedGroupBytes < log_format::kMaxPayloadBytes);

// Splits what is carried into groups. A record longer than such a group has one for itself.
std::vector<LogBodies> InGroups(LogBodies bodies) {
  std::vector<LogBodies> groups;
  size_t first = 0;  // of the last group
  uint64_t bytes = kCarriedGroupBytes;
  for (size_t i = 0; i < bodies.size(); ++i) {
    const uint64_t more = log_format::kRecordHeaderBytes + bodies[i].size();
    if (bytes + more > kCarriedGroupBytes) {
      groups.emplace_back();
      first = i;
      bytes = 0;
    }
    groups.back() = bodies.subspan(first, i + 1 - first);
    bytes += more;
  }
  return groups;
}

std::string UnfinishedPath(const std::string& folder) {
  return folder + "/" + std::string(log_format::kUnfinishedName);
}

}  // namespace

uint64_t PayloadBytes(LogBodies bodies) {
  uint64_t bytes = 0;
  for (const std::string& body : bodies) bytes += log_format::kRecordHeaderBytes + body.size();
  return bytes;
}

Result<BlankSegment> MakeBlankSegment(FileSystem& files, const std::string& folder,
                                      uint64_t size, bool synced) {
  INDOUBT_ASSIGN_OR_RETURN(auto file, files.Open(UnfinishedPath(folder), OpenMode::kCreateNew));
  const std::string zeros(std::min(kFillBytes, size), '\0');
  for (uint64_t at = 0; at < size; at += zeros.size()) {
    const size_t length = std::min<uint64_t>(zeros.size(), size - at);
    INDOUBT_RETURN_IF_ERROR(file->WriteAt(at, std::string_view(zeros).substr(0, length)));
    if (synced) INDOUBT_RETURN_IF_ERROR(file->Sync());
  }
  return BlankSegment{std::move(file), size};
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::Create(FileSystem& files,
                                                             const std::string& folder,
                                                             SegmentHeader header,
                                                             LogBodies carried,
                                                             BlankSegment blank) {
  const auto groups = InGroups(carried);
  uint64_t carried_bytes = 0;
  for (const LogBodies group : groups) {
    carried_bytes += log_format::GroupBytes(PayloadBytes(group));
  }
  header.carried_end = log_format::kGroupsStart + carried_bytes;
  // As much room again as was carried, so that carrying costs at most one byte
  // for each byte of new records, however much there is to carry.
  header.size = std::max(header.size, log_format::kMinSegmentBytes);
  header.size = (header.size + 2 * carried_bytes + log_format::kSectorBytes - 1) /
                log_format::kSectorBytes * log_format::kSectorBytes;

  const std::string path = folder + "/" + log_format::SegmentName(header.number);
  const uint64_t least =
      log_format::kGroupsStart + 2 * carried_bytes + log_format::kMaxPayloadBytes;
  Status status;
  if (blank.file && blank.size < least) {
    blank = {};
    status = files.Remove(UnfinishedPath(folder));
  }
  if (status.ok() && !blank.file) {
    auto made = MakeBlankSegment(files, folder, header.size, /*synced=*/false);
    status = made.status();
    if (made) blank = std::move(*made);
  }
  std::unique_ptr<SegmentWriter> writer;
  if (status.ok()) {
    header.size = blank.size;
    writer.reset(new SegmentWriter(std::move(blank.file), header));
    status = writer->Fill(groups);
  }
  if (status.ok()) status = HitFailPoint("segment_synced");
  if (status.ok()) status = files.Rename(UnfinishedPath(folder), path);
  if (!status.ok()) {
    // It never counted. If it cannot be removed either, the next start does it.
    static_cast<void>(files.Remove(UnfinishedPath(folder)));
    return status.WithContext(fmt::format("{} cannot be made", path));
  }
  INDOUBT_RETURN_IF_ERROR(files.SyncDirectory(folder));
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("checkpoint_written"));
  return writer;
}

Status SegmentWriter::Fill(const std::vector<LogBodies>& groups) {
  for (const LogBodies group : groups) INDOUBT_RETURN_IF_ERROR(WriteGroup(group).status());
  INDOUBT_CHECK(end_ == header_.carried_end, "what was carried has the size foreseen");
  INDOUBT_RETURN_IF_ERROR(WriteHeader());
  return Sync();
}

Status SegmentWriter::WriteHeader() {
  const std::string bytes = log_format::EncodeSegmentHeader(header_);
  INDOUBT_RETURN_IF_ERROR(file_->WriteAt(0, bytes));
  return file_->WriteAt(log_format::kSegmentHeaderCopyAt, bytes);
}

bool SegmentWriter::HasRoom(uint64_t payload_bytes) const {
  return end_ + log_format::GroupBytes(payload_bytes) <= header_.size;
}

Status SegmentWriter::Append(LogBodies bodies) {
  INDOUBT_ASSIGN_OR_RETURN(const std::string mark, WriteGroup(bodies));
  const uint64_t at = log_format::kMarksAt[next_mark_];
  next_mark_ = (next_mark_ + 1) % log_format::kMarksAt.size();
  return file_->WriteAt(at, mark);
}

Result<std::string> SegmentWriter::WriteGroup(LogBodies bodies) {
  std::string payload;
  payload.reserve(PayloadBytes(bodies));
  uint64_t sequence = next_sequence_;
  for (const std::string& body : bodies) log_format::AppendRecord(payload, sequence++, body);
  log_format::EncodedGroup group = log_format::EncodeGroup(
      header_, end_, next_sequence_, static_cast<uint32_t>(bodies.size()), payload);
  INDOUBT_CHECK(end_ + group.bytes.size() <= header_.size, "a group fits into its segment");
  INDOUBT_RETURN_IF_ERROR(file_->WriteAt(end_, group.bytes));
  end_ += group.bytes.size();
  next_sequence_ = sequence;
  return std::move(group.mark);
}

}  // namespace indoubt
