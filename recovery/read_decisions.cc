#include "recovery/read_decisions.h"

#include <thread>

#include <fmt/format.h>

#include "recovery/log_folder.h"
#include "recovery/log_reader.h"
#include "recovery/log_state.h"

namespace indoubt {
namespace {

// The owner may drop the segment that is being read, or write its last group meanwhile.
constexpr int kAttempts = 20;
constexpr std::chrono::milliseconds kBetween{20};

Status ReadNewest(FileSystem& files, const std::string& path, LogState& state, LogId& id) {
  INDOUBT_ASSIGN_OR_RETURN(const auto numbers, ListSegments(files, path));
  if (numbers.empty()) {
    return Status(StatusCode::kNotFound,
                  fmt::format("{}: there is no decision log here", path));
  }
  // The newest holds all that its predecessors held and still matters.
  const std::string name = path + "/" + log_format::SegmentName(numbers.back());
  INDOUBT_ASSIGN_OR_RETURN(const auto file, files.Open(name, OpenMode::kRead));
  INDOUBT_ASSIGN_OR_RETURN(SegmentReader reader, SegmentReader::Open(*file, numbers.back()));
  id = reader.header().log;
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(auto records, reader.Next());
    if (!records) return Status::Ok();
    for (const log_format::RawRecord& raw : *records) {
      auto record = DecodeLogRecord(raw.body);
      if (!record) {
        return record.error().WithContext(fmt::format("{}: offset {}", name, raw.offset));
      }
      state.Apply(std::move(*record), SystemClock().Now());
    }
  }
}

}  // namespace

LoggedDecisions::LoggedDecisions(const LogId& id, std::unique_ptr<LogState> state)
    : id_(id), state_(std::move(state)) {}
LoggedDecisions::LoggedDecisions(LoggedDecisions&&) noexcept = default;
LoggedDecisions::~LoggedDecisions() = default;

Result<LoggedDecisions> LoggedDecisions::Read(FileSystem& files, const std::string& path,
                                              Duration outcome_retention) {
  for (int attempt = 1;; ++attempt) {
    auto state = std::make_unique<LogState>(outcome_retention);
    LogId id;
    const Status read = ReadNewest(files, path, *state, id);
    if (read.ok()) return LoggedDecisions(id, std::move(state));
    if (attempt == kAttempts) return read;
    std::this_thread::sleep_for(kBetween);
  }
}

const std::string& LoggedDecisions::node() const { return state_->node(); }

LoggedState LoggedDecisions::Find(const Gid& gid) const {
  return state_->Find(gid, SystemClock().Now());
}

bool LoggedDecisions::IsForgotten(const Gid& gid) const {
  return state_->IsForgotten(gid, SystemClock().Now());
}

std::vector<HeuristicRecord> LoggedDecisions::Heuristics() const {
  return state_->Heuristics();
}

Status CheckNodeOfLog(FileSystem& files, const std::string& path, const std::string& node) {
  const auto segments = ListSegments(files, path);
  if (!segments || segments->empty()) return Status::Ok();
  const auto log = LoggedDecisions::Read(files, path, std::chrono::hours(1));
  return log ? RequireNode(path, log->node(), node) : Status::Ok();
}

}  // namespace indoubt
