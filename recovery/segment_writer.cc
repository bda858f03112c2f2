#include "recovery/segment_writer.h"

#include <algorithm>

namespace indoubt {
namespace {

// Doubled from the first to the last as a segment grows: a short-lived process
// writes little, a busy one seldom.
constexpr uint64_t kFirstExtent = 64u << 10;
constexpr uint64_t kLastExtent = 4u << 20;

}  // namespace

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::Create(FileSystem& files,
                                                             const std::string& folder,
                                                             const SegmentHeader& header,
                                                             const std::string& checkpoint) {
  const std::string path = folder + "/" + SegmentName(header.number);
  INDOUBT_ASSIGN_OR_RETURN(auto file, files.Open(path, OpenMode::kCreateNew));
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(std::move(file), header.number));
  INDOUBT_RETURN_IF_ERROR(writer->Append(EncodeSegmentHeader(header)));
  INDOUBT_RETURN_IF_ERROR(writer->Append(checkpoint));
  INDOUBT_RETURN_IF_ERROR(writer->Sync());
  INDOUBT_RETURN_IF_ERROR(files.SyncDirectory(folder));
  return writer;
}

Status SegmentWriter::MakeRoom(uint64_t until) {
  if (until <= prepared_) return Status::Ok();
  const uint64_t extent = std::clamp(prepared_, kFirstExtent, kLastExtent);
  const uint64_t target = (until + extent - 1) / extent * extent;
  static const std::string zeros(1u << 20, '\0');
  while (prepared_ < target) {
    const uint64_t bytes = std::min<uint64_t>(zeros.size(), target - prepared_);
    INDOUBT_RETURN_IF_ERROR(
        file_->WriteAt(prepared_, std::string_view(zeros).substr(0, bytes)));
    prepared_ += bytes;
  }
  return file_->Sync();
}

Status SegmentWriter::Append(const std::string& group) {
  INDOUBT_RETURN_IF_ERROR(MakeRoom(end_ + group.size()));
  INDOUBT_RETURN_IF_ERROR(file_->WriteAt(end_, group));
  end_ += group.size();
  return Status::Ok();
}

}  // namespace indoubt
