#include "recovery/log_opener.h"

#include <algorithm>

#include <fmt/format.h>

#include "recovery/segment_reader.h"

namespace indoubt {
namespace {

/// Whether a segment that cannot be used was never in use: its making was cut off
/// by a crash. While an older segment is there that is so, for what came before is
/// removed before a decision enters; and the very first held nothing yet.
Status NeverUsed(const Status& why, uint64_t number, bool older_exists) {
  if (older_exists || number == 1) return Status::Ok();
  return why;
}

Status Load(const SegmentContent& content, TimePoint now, OpenedLog& opened) {
  opened.id = content.header.log;
  opened.next_sequence = content.next_sequence;
  for (const ReadRecord& read : content.records) {
    INDOUBT_RETURN_IF_ERROR(
        opened.state.Apply(read.record, now)
            .WithContext(
                fmt::format("{}: offset {}", SegmentName(content.header.number), read.offset)));
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<uint64_t>> ListSegments(FileSystem& files, const std::string& folder) {
  INDOUBT_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(folder));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = ParseSegmentName(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<OpenedLog> ReadLogFolder(FileSystem& files, const std::string& folder,
                                Duration outcome_retention, TimePoint now) {
  OpenedLog opened{LogId(), LogState(outcome_retention), false, 1, 1, {}};
  INDOUBT_ASSIGN_OR_RETURN(opened.segments, ListSegments(files, folder));
  if (!opened.segments.empty()) opened.next_segment = opened.segments.back() + 1;
  for (size_t i = opened.segments.size(); i-- > 0;) {
    const uint64_t number = opened.segments[i];
    const std::string path = folder + "/" + SegmentName(number);
    auto content = ReadSegment(files, path);
    if (!content) {
      if (content.error().code() != StatusCode::kCorrupt) return content.error();
      INDOUBT_RETURN_IF_ERROR(NeverUsed(content.error(), number, i > 0));
      continue;
    }
    if (!content->damage.ok()) return content->damage;
    if (content->header.number != number) {
      return Status(StatusCode::kCorrupt,
                    fmt::format("{}: offset 16: holds segment {}: it was renamed or copied",
                                path, content->header.number));
    }
    if (!content->has_checkpoint) {
      const Status why(StatusCode::kCorrupt,
                       fmt::format("{}: offset {}: its checkpoint is not whole and no older "
                                   "segment is there",
                                   path, content->end));
      INDOUBT_RETURN_IF_ERROR(NeverUsed(why, number, i > 0));
      continue;
    }
    INDOUBT_RETURN_IF_ERROR(Load(*content, now, opened));
    return opened;
  }
  opened.is_new = true;
  return opened;
}

}  // namespace indoubt
