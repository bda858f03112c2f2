#include "recovery/log_core.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/brief_lock.h"
#include "base/check.h"
#include "base/failpoint.h"
#include "recovery/log_format.h"

namespace indoubt {
namespace {

constexpr uint64_t kMaxGroupBytes = log_format::kMaxRecordBytes;

}  // namespace

void LogCore::Pending::Complete(const Status& status) {
  if (decided) {
    decided(status.ok() ? DecisionOutcome::kCommitted : DecisionOutcome::kUnknown, status);
  } else {
    logged(status);
  }
}

LogCore::LogCore(FileSystem& files, OpenedFolder folder, const FileLogOptions& options)
    : state_(std::move(folder.state)),
      files_(files),
      options_(options),
      folder_path_(std::move(folder.path)),
      lock_(std::move(folder.lock)),
      id_(folder.writer->header().log),
      incarnation_(folder.writer->header().incarnation),
      writer_(std::move(folder.writer)) {}

bool LogCore::accepted() const {
  const std::lock_guard lock(mutex_);
  return state_.accepted();
}

void LogCore::Accept(LogCallback done) {
  Submit(AcceptedRecord{"accepted while it was empty", WallClockNow()}, std::move(done));
}

void LogCore::Decide(const Gid& gid, DecisionOutcome outcome,
                     std::vector<BranchRecord> branches, DecideCallback done,
                     RequestName request) {
  if (outcome != DecisionOutcome::kCommitted) {
    AnswerAbort(gid, outcome, done);
    return;
  }
  Submit({.record = Decision{gid, std::move(branches), std::move(request)},
          .decided = std::move(done)});
}

void LogCore::End(const Gid& gid) {
  std::string body = EncodeLogRecord(EndRecord{gid});
  const TimePoint now = Now();
  const Lock lock = LockBriefly(mutex_);
  if (!health_.ok() || !state_.End(gid, now)) return;
  ends_.push_back(std::move(body));
  // Where a last resource decided, whoever removes its rows asks for one sync for many.
  if (gid.home.empty() || ends_.size() > kManyEnds) OnEndWaits();
}

void LogCore::FlushEnds(LogCallback done) {
  Enqueue({.record = {}, .logged = std::move(done)});
}

void LogCore::RecordHeuristic(HeuristicRecord record, LogCallback done) {
  Submit(std::move(record), std::move(done));
}

void LogCore::RecordOperatorDecision(OperatorDecision decision, LogCallback done) {
  Submit(std::move(decision), std::move(done));
}

void LogCore::Forget(const Gid& gid, OperatorTrace by, LogCallback done) {
  Submit(ForgetRecord{gid, std::move(by)}, std::move(done));
}

std::vector<Decision> LogCore::Unended() const {
  const std::lock_guard lock(mutex_);
  return state_.Unended();
}

std::vector<HeuristicRecord> LogCore::Heuristics() const {
  const std::lock_guard lock(mutex_);
  return state_.Heuristics();
}

std::vector<OperatorDecision> LogCore::OperatorDecisions() const {
  const std::lock_guard lock(mutex_);
  return state_.OperatorDecisions();
}

void LogCore::PrepareSegmentsAhead() {
  spare_ = std::make_unique<SpareSegment>(files_, folder_path_);
}

LoggedState LogCore::Find(const Gid& gid) const {
  const std::lock_guard lock(mutex_);
  return state_.Find(gid, Now());
}

bool LogCore::IsForgotten(const Gid& gid) const {
  const std::lock_guard lock(mutex_);
  return state_.IsForgotten(gid, Now());
}

std::optional<NamedCommit> LogCore::FindRequest(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  if (auto logged = state_.FindRequest(id, Now())) return logged;
  const auto proposed = proposed_requests_.find(id);
  if (proposed == proposed_requests_.end()) return std::nullopt;
  return proposed->second;
}

bool LogCore::HasRoomForRequest() {
  const std::lock_guard lock(mutex_);
  return state_.HasRoomForRequest(Now());
}

Status LogCore::health() const {
  if (!stopped_) return Status::Ok();
  const std::lock_guard lock(mutex_);
  return health_;
}

// Presumed abort: no record is the record. But a commit that was proposed stands, or
// may, and no abort replaces it.
void LogCore::AnswerAbort(const Gid& gid, DecisionOutcome outcome,
                          const DecideCallback& done) const {
  DecisionOutcome stands = outcome;
  Status why;
  {
    const std::lock_guard lock(mutex_);
    if (state_.Find(gid, Now()) != LoggedState::kUnknown) {
      stands = DecisionOutcome::kCommitted;
    } else if (proposed_.count(gid) > 0) {
      stands = DecisionOutcome::kUnknown;
      why = health_.ok()
                ? Status(StatusCode::kUnavailable,
                         fmt::format("the commit of {} is being written", gid.ToString()))
                : health_;
    }
  }
  done(stands, why);
}

void LogCore::Submit(LogRecord record, LogCallback logged) {
  Submit({.record = std::move(record), .logged = std::move(logged)});
}

void LogCore::Submit(Pending&& pending) {
  pending.has_body = true;
  pending.body = EncodeLogRecord(pending.record);
  if (pending.body.size() > log_format::kMaxRecordBytes / 2) {
    pending.Complete(Status(StatusCode::kInvalidArgument,
                            fmt::format("a log record of {} bytes is too long (at most {}): "
                                        "use fewer participants",
                                        pending.body.size(), log_format::kMaxRecordBytes / 2)));
    return;
  }
  Enqueue(std::move(pending));
}

void LogCore::Enqueue(Pending&& pending) {
  Lock lock = LockBriefly(mutex_);
  BeforeQueueing(lock);
  if (!health_.ok()) {
    const Status why = health_;
    lock.unlock();
    pending.Complete(why);
    return;
  }
  if (pending.decided) {
    const auto& decision = std::get<Decision>(pending.record);
    proposed_.insert(decision.gid);
    if (!decision.request.empty()) {
      proposed_requests_.emplace(decision.request.id,
                                 NamedCommit{decision.gid, decision.request});
    }
  }
  queued_bytes_ += log_format::kRecordHeaderBytes + pending.body.size();
  queue_.push_back(std::move(pending));
  OnQueued(lock);
}

void LogCore::Flush(Lock& lock) {
  flushing_ = true;
  const TimePoint began = Now();
  std::vector<std::string> bodies;
  Batch batch = TakeBatch(bodies);
  Status status = health_;
  if (status.ok() && !bodies.empty()) {
    lock.unlock();
    status = WriteGroup(batch, bodies);
    lock.lock();
  }
  const TimePoint now = Now();
  if (status.ok()) {
    for (Pending& pending : batch) {
      if (pending.decided) {
        const auto& decision = std::get<Decision>(pending.record);
        proposed_.erase(decision.gid);
        if (!decision.request.empty()) proposed_requests_.erase(decision.request.id);
      }
      if (pending.has_body) state_.Apply(std::move(pending.record), now);
    }
  } else {
    status = Stop(status);
  }
  flushing_ = false;
  OnFlushed(batch.size(), began, now);
  HaveAnswered(std::move(batch), status, lock);
}

void LogCore::Answer(Batch batch, const Status& status, Lock& lock) {
  lock.unlock();
  {
    const WithinCallback answers;
    for (Pending& pending : batch) pending.Complete(status);
    batch.clear();  // with what the callbacks hold
  }
  lock.lock();
  TakeBack(batch);
}

// Whoever is completed may take every end before it for durable: stores forget then.
// So ends go first, and as long as some do not fit, nothing else is written.
LogCore::Batch LogCore::TakeBatch(std::vector<std::string>& bodies) {
  Batch batch;
  uint64_t bytes = 0;
  bodies.reserve(ends_.size() + queue_.size());
  while (!ends_.empty() && bytes < kMaxGroupBytes / 2) {
    bytes += log_format::kRecordHeaderBytes + ends_.front().size();
    bodies.push_back(std::move(ends_.front()));
    ends_.pop_front();
  }
  if (!ends_.empty()) return batch;
  size_t taken = 0;
  if (bytes + queued_bytes_ <= kMaxGroupBytes) {
    taken = queue_.size();
  } else {
    for (uint64_t all = bytes; taken < queue_.size(); ++taken) {
      all += log_format::kRecordHeaderBytes + queue_[taken].body.size();
      if (taken > 0 && all > kMaxGroupBytes) break;
    }
  }
  batch.swap(spare_batch_);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(taken);
  if (end == queue_.end()) {
    batch.swap(queue_);
  } else {
    batch.assign(std::move_iterator(queue_.begin()), std::move_iterator(end));
    queue_.erase(queue_.begin(), end);
  }
  for (Pending& pending : batch) {
    queued_bytes_ -= log_format::kRecordHeaderBytes + pending.body.size();
    if (pending.has_body) bodies.push_back(std::move(pending.body));
  }
  return batch;
}

Status LogCore::WriteGroup(const Batch& batch, const std::vector<std::string>& bodies) {
  const uint64_t payload_bytes = PayloadBytes(bodies);
  if (!writer_->HasRoom(payload_bytes)) INDOUBT_RETURN_IF_ERROR(Rotate(payload_bytes));
  INDOUBT_RETURN_IF_ERROR(writer_->Append(bodies));
  if (spare_ && writer_->end() > writer_->header().size / 2) spare_->Want(NextSegmentBytes());
  for (const Pending& pending : batch) {
    if (pending.decided) INDOUBT_RETURN_IF_ERROR(HitFailPoint("decision_written"));
  }
  INDOUBT_RETURN_IF_ERROR(writer_->Sync());
  for (const Pending& pending : batch) {
    if (std::holds_alternative<HeuristicRecord>(pending.record) ||
        std::holds_alternative<OperatorDecision>(pending.record)) {
      INDOUBT_RETURN_IF_ERROR(HitFailPoint("heuristic_recorded"));
    }
  }
  return Status::Ok();
}

// Everything written so far is synced and in state_ (this thread holds flushing_),
// so the new segment can carry all of it, and the old one may go.
Status LogCore::Rotate(uint64_t payload_bytes) {
  std::vector<std::string> carried;
  {
    const Lock lock(mutex_);
    carried = CarriedRecords(state_, incarnation_, options_);
  }
  log_format::SegmentHeader header = Successor(*writer_);
  header.size = std::max(std::min(options_.segment_bytes, 2 * writer_->header().size),
                         log_format::kGroupsStart + log_format::GroupBytes(payload_bytes));
  const uint64_t old = writer_->header().number;
  BlankSegment blank = spare_ ? spare_->Take() : BlankSegment{};
  INDOUBT_ASSIGN_OR_RETURN(
      writer_, SegmentWriter::Create(files_, folder_path_, header, carried, std::move(blank)));
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("segment_opened"));
  return DropSegments(files_, folder_path_, {old});
}

// As Rotate would ask for, with room for what this one carries twice over.
uint64_t LogCore::NextSegmentBytes() const {
  const log_format::SegmentHeader& header = writer_->header();
  const uint64_t carried = header.carried_end - log_format::kGroupsStart;
  const uint64_t bytes = std::min(options_.segment_bytes, 2 * header.size) + 4 * carried;
  return (bytes + log_format::kSectorBytes - 1) / log_format::kSectorBytes *
         log_format::kSectorBytes;
}

// For good: nobody may be told anything after a failed write or sync, and what is
// queued is in doubt with it.
Status LogCore::Stop(const Status& why) {
  if (health_.ok()) {
    health_ = why.WithContext(
        fmt::format("the decision log {} stopped, restart to recover", folder_path_));
    stopped_ = true;
  }
  ends_.clear();
  return health_;
}

}  // namespace indoubt
