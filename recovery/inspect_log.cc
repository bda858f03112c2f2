// `indoubt log inspect`: everything in a log, damage included, nothing changed.
#include <fmt/format.h>

#include "recovery/file_log.h"
#include "recovery/log_folder.h"
#include "recovery/log_reader.h"

namespace indoubt {
namespace {

std::string Described(const RequestName& request) {
  std::string text = "request " + request.id;
  if (request.digest != 0) text += fmt::format(" (digest {:08x})", request.digest);
  return text;
}

class Describer {
 public:
  explicit Describer(InspectedRecord& shown) : out_(shown) {}

  void operator()(const Decision& decision) const {
    out_.kind = "commit";
    out_.gid = decision.gid.ToString();
    for (const BranchRecord& branch : decision.branches) {
      out_.detail += fmt::format("{}{} (token of {} bytes)", out_.detail.empty() ? "" : ", ",
                                 branch.participant, branch.token.size());
    }
    if (!decision.request.empty()) {
      out_.detail += ", " + Described(decision.request);
    }
  }
  void operator()(const EndRecord& end) const {
    out_.kind = "end";
    out_.gid = end.gid.ToString();
  }
  void operator()(const HeuristicRecord& heuristic) const {
    out_.kind = "heuristic";
    out_.gid = heuristic.gid.ToString();
    out_.detail =
        fmt::format("{}: {} ({})", heuristic.participant, heuristic.reason, heuristic.found_at);
  }
  void operator()(const ForgetRecord& forget) const {
    out_.kind = "forget";
    out_.gid = forget.gid.ToString();
    out_.detail = Traced(forget.by);
  }
  void operator()(const OpenedRecord& opened) const {
    out_.kind = "opened";
    out_.detail = fmt::format("incarnation {} of node {} at {}", opened.incarnation,
                              opened.node, opened.at);
  }
  void operator()(const EndedRecord& ended) const {
    size_t count = 0;
    for (const char c : ended.bits) count += __builtin_popcount(static_cast<unsigned char>(c));
    out_.kind = "ended";
    out_.gid = ended.first.ToString();
    out_.detail = fmt::format("{} transactions from this number on", count);
  }
  void operator()(const AcceptedRecord& accepted) const {
    out_.kind = "accepted";
    out_.detail = fmt::format("{} at {}", accepted.why, accepted.at);
  }
  void operator()(const AnsweredRecord& answered) const {
    out_.kind = "answered";
    out_.gid = answered.commit.gid.ToString();
    out_.detail = Described(answered.commit.request);
  }
  void operator()(const OperatorDecision& decision) const {
    out_.kind = "operator";
    out_.gid = decision.gid.ToString();
    out_.detail = fmt::format(
        "{} by {}; the log knew: {}", ToString(decision.decided), Traced(decision.by),
        decision.known == DecisionOutcome::kUnknown ? "nothing" : ToString(decision.known));
  }

 private:
  static std::string Traced(const OperatorTrace& by) {
    if (by.at.empty()) return "";  // written before there was a trace
    return fmt::format("{} at {}{}{}", by.who, by.at, by.reason.empty() ? "" : ": ", by.reason);
  }

  InspectedRecord& out_;
};

InspectedRecord Note(const std::string& file, uint64_t offset, std::string kind,
                     std::string detail) {
  return InspectedRecord{file, offset, 0, std::move(kind), "", std::move(detail)};
}

InspectedRecord Describe(const std::string& path, const log_format::RawRecord& raw) {
  InspectedRecord shown{path, raw.offset, raw.sequence, "", "", ""};
  if (const auto record = DecodeLogRecord(raw.body)) {
    std::visit(Describer(shown), *record);
  } else {
    shown.kind = "damage";
    shown.detail = record.error().message();
  }
  return shown;
}

InspectedRecord DescribeHeader(const std::string& path,
                               const log_format::SegmentHeader& header) {
  return Note(path, 0, "segment",
              fmt::format("number {} of log {}, format {}, {} bytes, carried until {}, after "
                          "segment {} that ends at {}",
                          header.number, header.log.text(), log_format::kVersion, header.size,
                          header.carried_end, header.predecessor, header.predecessor_end));
}

Status InspectSegment(FileSystem& files, const std::string& path, uint64_t number,
                      std::vector<InspectedRecord>& out) {
  INDOUBT_ASSIGN_OR_RETURN(const auto file, files.Open(path, OpenMode::kRead));
  auto reader = SegmentReader::Open(*file, number);
  if (!reader && reader.error().code() == StatusCode::kIoError) return reader.error();
  if (!reader) {
    out.push_back(Note(path, 0, "damage", reader.error().message()));
    return Status::Ok();
  }
  out.push_back(DescribeHeader(path, reader->header()));
  for (bool more = true; more;) {
    const auto records = reader->Next();
    if (records && *records) {
      for (const auto& raw : **records) out.push_back(Describe(path, raw));
    } else if (records) {
      more = false;
    } else if (records.error().code() == StatusCode::kCorrupt) {
      out.push_back(Note(path, reader->end(), "damage", records.error().message()));
      INDOUBT_ASSIGN_OR_RETURN(more, reader->SkipDamage());
    } else {
      return records.error();
    }
  }
  for (const HarmlessDamage& damage : reader->repaired()) {
    out.push_back(Note(path, damage.offset, "repaired", damage.what));
  }
  if (!reader->torn().empty()) out.push_back(Note(path, reader->end(), "torn", reader->torn()));
  return Status::Ok();
}

}  // namespace

Result<std::vector<InspectedRecord>> InspectLog(FileSystem& files, const std::string& path) {
  std::vector<InspectedRecord> records;
  const size_t slash = path.find_last_of('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (const auto number = log_format::ParseSegmentName(name)) {
    INDOUBT_RETURN_IF_ERROR(InspectSegment(files, path, *number, records));
    return records;
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto numbers, ListSegments(files, path));
  if (numbers.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{} holds no decision log (no segment-* in it)", path));
  }
  for (const uint64_t number : numbers) {
    INDOUBT_RETURN_IF_ERROR(
        InspectSegment(files, path + "/" + log_format::SegmentName(number), number, records));
  }
  return records;
}

}  // namespace indoubt
