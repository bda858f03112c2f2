#include "recovery/segment.h"

#include <algorithm>

#include "base/check.h"

namespace indoubt {

using log_format::SegmentHeader;

namespace {

constexpr uint64_t kFillBytes = 1 << 20;

// Splits what is carried into groups that keep the limit of a payload.
std::vector<std::vector<std::string>> InGroups(const std::vector<std::string>& bodies) {
  std::vector<std::vector<std::string>> groups;
  uint64_t bytes = log_format::kMaxPayloadBytes;
  for (const std::string& body : bodies) {
    const uint64_t more = log_format::kRecordHeaderBytes + body.size();
    if (bytes + more > log_format::kMaxPayloadBytes) {
      groups.emplace_back();
      bytes = 0;
    }
    groups.back().push_back(body);
    bytes += more;
  }
  return groups;
}

}  // namespace

uint64_t PayloadBytes(const std::vector<std::string>& bodies) {
  uint64_t bytes = 0;
  for (const std::string& body : bodies) bytes += log_format::kRecordHeaderBytes + body.size();
  return bytes;
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::Create(
    FileSystem& files, const std::string& folder, SegmentHeader header,
    const std::vector<std::string>& carried) {
  const auto groups = InGroups(carried);
  uint64_t carried_bytes = 0;
  for (const auto& group : groups) {
    carried_bytes += log_format::GroupBytes(PayloadBytes(group));
  }
  header.carried_end = log_format::kGroupsStart + carried_bytes;
  // As much room again as was carried, so that carrying costs at most one byte
  // for each byte of new records, however much there is to carry.
  header.size =
      std::max(header.size, log_format::kGroupsStart + log_format::kMaxPayloadBytes / 64);
  header.size = (header.size + 2 * carried_bytes + 4095) / 4096 * 4096;

  const std::string unfinished = folder + "/" + std::string(log_format::kUnfinishedName);
  INDOUBT_ASSIGN_OR_RETURN(auto file, files.Open(unfinished, OpenMode::kCreateNew));
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(std::move(file), header));
  INDOUBT_RETURN_IF_ERROR(writer->FillWithZeros());
  for (const auto& group : groups) INDOUBT_RETURN_IF_ERROR(writer->Append(group));
  INDOUBT_CHECK(writer->end_ == header.carried_end, "what was carried has the size foreseen");
  INDOUBT_RETURN_IF_ERROR(writer->WriteHeader());
  INDOUBT_RETURN_IF_ERROR(writer->Sync());
  INDOUBT_RETURN_IF_ERROR(
      files.Rename(unfinished, folder + "/" + log_format::SegmentName(header.number)));
  INDOUBT_RETURN_IF_ERROR(files.SyncDirectory(folder));
  return writer;
}

// Zeros are written, not only allocated: then a commit's sync has no metadata of
// the file to write, and an unwritten byte is known to read as zero.
Status SegmentWriter::FillWithZeros() {
  const std::string zeros(std::min(kFillBytes, header_.size), '\0');
  for (uint64_t at = 0; at < header_.size; at += zeros.size()) {
    const size_t length = std::min<uint64_t>(zeros.size(), header_.size - at);
    INDOUBT_RETURN_IF_ERROR(file_->WriteAt(at, std::string_view(zeros).substr(0, length)));
  }
  return Status::Ok();
}

Status SegmentWriter::WriteHeader() {
  const std::string bytes = log_format::EncodeSegmentHeader(header_);
  INDOUBT_RETURN_IF_ERROR(file_->WriteAt(0, bytes));
  return file_->WriteAt(log_format::kSegmentHeaderCopyAt, bytes);
}

bool SegmentWriter::HasRoom(uint64_t payload_bytes) const {
  return end_ + log_format::GroupBytes(payload_bytes) <= header_.size;
}

Status SegmentWriter::Append(const std::vector<std::string>& bodies) {
  std::string payload;
  payload.reserve(PayloadBytes(bodies));
  uint64_t sequence = next_sequence_;
  for (const std::string& body : bodies) log_format::AppendRecord(payload, sequence++, body);
  const std::string group = log_format::EncodeGroup(
      header_, end_, next_sequence_, static_cast<uint32_t>(bodies.size()), payload);
  INDOUBT_CHECK(end_ + group.size() <= header_.size, "a group fits into its segment");
  INDOUBT_RETURN_IF_ERROR(file_->WriteAt(end_, group));
  end_ += group.size();
  next_sequence_ = sequence;
  return Status::Ok();
}

}  // namespace indoubt
