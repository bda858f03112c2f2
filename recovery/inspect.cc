#include <fmt/format.h>

#include "recovery/file_log.h"
#include "recovery/log_opener.h"
#include "recovery/segment_reader.h"

namespace indoubt {
namespace {

std::string GidText(const records::Gid& proto) {
  const auto gid = FromProto(proto);
  return gid ? gid->ToString() : "(not a gid)";
}

void Describe(const records::Record& record, InspectedRecord& to) {
  switch (record.body_case()) {
    case records::Record::kCommit: {
      to.kind = "commit";
      to.gid = GidText(record.commit().gid());
      for (const records::Branch& branch : record.commit().branches()) {
        if (!to.detail.empty()) to.detail += " ";
        to.detail += branch.participant();
      }
      return;
    }
    case records::Record::kEnd:
      to.kind = "end";
      to.gid = GidText(record.end().gid());
      return;
    case records::Record::kHeuristic:
      to.kind = "heuristic";
      to.gid = GidText(record.heuristic().gid());
      to.detail = fmt::format("{}: should have {}: {} ({})", record.heuristic().participant(),
                              record.heuristic().decision(), record.heuristic().reason(),
                              record.heuristic().found_at());
      return;
    case records::Record::kForget:
      to.kind = "forget";
      to.gid = GidText(record.forget().gid());
      return;
    case records::Record::kOpened:
      to.kind = "opened";
      to.detail = fmt::format("incarnation {} of {} at {}", record.opened().incarnation(),
                              record.opened().node(), record.opened().at());
      return;
    case records::Record::kCheckpoint:
      to.kind = "checkpoint";
      to.detail = fmt::format("incarnation {}, {} records carried over",
                              record.checkpoint().incarnation(), record.checkpoint().records());
      return;
    case records::Record::BODY_NOT_SET:
      to.kind = "unknown";
      to.detail = "a kind that this version does not know";
      return;
  }
}

Status InspectSegment(FileSystem& files, const std::string& path,
                      std::vector<InspectedRecord>& to) {
  const auto content = ReadSegment(files, path);
  if (!content) {
    if (content.error().code() != StatusCode::kCorrupt) return content.error();
    to.push_back({path, 0, 0, "damage", "", content.error().message()});
    return Status::Ok();
  }
  for (const ReadRecord& read : content->records) {
    InspectedRecord record{path, read.offset, read.sequence, "", "", ""};
    Describe(read.record, record);
    to.push_back(std::move(record));
  }
  if (!content->damage.ok()) {
    to.push_back({path, content->end, 0, "damage", "", content->damage.message()});
  }
  if (content->torn) {
    to.push_back({path, content->end, 0, "torn", "",
                  "a group that was being written; nobody was told of it"});
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<InspectedRecord>> InspectLog(FileSystem& files, const std::string& path) {
  std::vector<InspectedRecord> records;
  const auto segments = ListSegments(files, path);
  if (!segments) {  // not a folder: one segment then
    INDOUBT_RETURN_IF_ERROR(InspectSegment(files, path, records));
    return records;
  }
  if (segments->empty()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: holds no segment of a log", path));
  }
  for (const uint64_t number : *segments) {
    INDOUBT_RETURN_IF_ERROR(InspectSegment(files, path + "/" + SegmentName(number), records));
  }
  return records;
}

}  // namespace indoubt
