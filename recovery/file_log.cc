#include "recovery/file_log.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/failpoint.h"
#include "recovery/log_folder.h"
#include "recovery/log_format.h"
#include "recovery/log_state.h"
#include "recovery/segment.h"

namespace indoubt {
namespace {

// With the last sync that long ago the log is idle: the caller syncs by itself,
// because a hand-off to the flusher costs more than it could gain. A caller that
// comes sooner may be an event loop with others waiting behind it.
constexpr Duration kIdleAfter = std::chrono::milliseconds(2);
// After a group of that many commits the log rests for some of the sync's time: what
// comes meanwhile shares the next one, and the stores sync on the same device.
constexpr size_t kRestFrom = 4;
constexpr int kRestInSyncs = 3;
constexpr Duration kLongestRest = std::chrono::milliseconds(2);
// How long an end record may wait for a commit to ride along with.
constexpr Duration kLazyEnds = std::chrono::milliseconds(50);
constexpr uint64_t kMaxGroupBytes = log_format::kMaxRecordBytes;
constexpr size_t kMaxQueued = 1 << 16;

struct Pending {
  LogRecord record;
  std::string body;        // empty: no record, waits only for what comes before it
  DecideCallback decided;  // for a commit
  LogCallback logged;      // for the others

  void Complete(const Status& status) {
    if (decided) {
      decided(status.ok() ? DecisionOutcome::kCommitted : DecisionOutcome::kUnknown, status);
    } else {
      logged(status);
    }
  }
};

class FileLog final : public DecisionLog {
 public:
  FileLog(FileSystem& files, OpenedFolder folder, const FileLogOptions& options)
      : files_(files),
        options_(options),
        folder_path_(std::move(folder.path)),
        lock_(std::move(folder.lock)),
        id_(folder.writer->header().log),
        incarnation_(folder.writer->header().incarnation),
        writer_(std::move(folder.writer)),
        state_(std::move(folder.state)),
        flusher_([this] { RunFlusher(); }) {}

  ~FileLog() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      flusher_state_ = Flusher::kAwake;
    }
    work_.notify_all();
    flusher_.join();
  }

  const LogId& id() const override { return id_; }
  uint32_t incarnation() const override { return incarnation_; }
  bool accepted() const override {
    const std::lock_guard lock(mutex_);
    return state_.accepted();
  }
  void Accept(LogCallback done) override {
    Submit(AcceptedRecord{"accepted while it was empty", WallClockNow()}, {}, std::move(done));
  }

  void Decide(const Gid& gid, DecisionOutcome outcome, std::vector<BranchRecord> branches,
              DecideCallback done) override {
    if (outcome != DecisionOutcome::kCommitted) {
      AnswerAbort(gid, outcome, done);
      return;
    }
    Submit(Decision{gid, std::move(branches)}, std::move(done), {});
  }

  void End(const Gid& gid) override {
    const std::lock_guard lock(mutex_);
    if (!health_.ok() || !state_.End(gid, SystemClock().Now())) return;
    ends_.push_back(EncodeLogRecord(EndRecord{gid}));
    if (flusher_state_ == Flusher::kWaitsForAnything || ends_.size() > kMaxQueued / 4) {
      WakeFlusher();
    }
  }

  void FlushEnds(LogCallback done) override { Enqueue({{}, {}, {}, std::move(done)}); }

  void RecordHeuristic(HeuristicRecord record, LogCallback done) override {
    Submit(std::move(record), {}, std::move(done));
  }
  void ForgetHeuristics(const Gid& gid, LogCallback done) override {
    Submit(ForgetRecord{gid}, {}, std::move(done));
  }

  std::vector<Decision> Unended() const override {
    const std::lock_guard lock(mutex_);
    return state_.Unended();
  }
  std::vector<HeuristicRecord> Heuristics() const override {
    const std::lock_guard lock(mutex_);
    return state_.Heuristics();
  }
  LoggedState Find(const Gid& gid) const override {
    const std::lock_guard lock(mutex_);
    return state_.Find(gid, SystemClock().Now());
  }
  Status health() const override {
    const std::lock_guard lock(mutex_);
    return health_;
  }

 private:
  using Lock = std::unique_lock<std::mutex>;
  using Batch = std::vector<Pending>;

  void AnswerAbort(const Gid& gid, DecisionOutcome outcome, const DecideCallback& done) const;
  void Submit(LogRecord record, DecideCallback decided, LogCallback logged);
  void Enqueue(Pending pending);
  void RunFlusher();
  void WaitForWork(Lock& lock);
  void WakeFlusher();
  bool IsIdle() const;
  void Flush(Lock& lock);
  Batch TakeBatch(std::vector<std::string>& bodies);
  Status WriteGroup(const Batch& batch, const std::vector<std::string>& bodies);
  Status Rotate(uint64_t payload_bytes);
  Status Stop(const Status& why);

  FileSystem& files_;
  const FileLogOptions options_;
  const std::string folder_path_;
  const std::unique_ptr<FileLock> lock_;
  const LogId id_;
  const uint32_t incarnation_;

  // Used only by the thread that set flushing_.
  std::unique_ptr<SegmentWriter> writer_;

  mutable std::mutex mutex_;      // guards everything below
  std::condition_variable work_;  // the flusher waits here, and only it
  std::condition_variable room_;  // the queue got shorter
  LogState state_;                // of what is durable (ends: of what was said)
  std::deque<Pending> queue_;
  std::deque<std::string> ends_;      // end records that wait for company
  std::unordered_set<Gid> proposed_;  // commits not known durable; kept after a failure
  bool flushing_ = false;             // some thread writes or syncs
  bool stopping_ = false;
  // What would get the flusher out of its sleep; a needless wake costs a switch.
  enum class Flusher {
    kAwake,
    kWaitsForAnything,
    kWaitsForCommits
  } flusher_state_ = Flusher::kAwake;
  size_t waiting_for_room_ = 0;
  TimePoint last_flush_{};
  TimePoint rest_until_{};
  Status health_;
  std::thread flusher_;  // last: it uses all of the above
};

// Presumed abort: no record is the record. But a commit that was proposed stands, or
// may, and no abort replaces it.
void FileLog::AnswerAbort(const Gid& gid, DecisionOutcome outcome,
                          const DecideCallback& done) const {
  DecisionOutcome stands = outcome;
  Status why;
  {
    const std::lock_guard lock(mutex_);
    if (state_.Find(gid, SystemClock().Now()) != LoggedState::kUnknown) {
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

void FileLog::Submit(LogRecord record, DecideCallback decided, LogCallback logged) {
  Pending pending{std::move(record), {}, std::move(decided), std::move(logged)};
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

void FileLog::Enqueue(Pending pending) {
  Lock lock(mutex_);
  // The flusher itself, in a callback, must not wait for the flusher.
  if (std::this_thread::get_id() != flusher_.get_id()) {
    ++waiting_for_room_;
    room_.wait(lock, [this] { return queue_.size() < kMaxQueued || !health_.ok(); });
    --waiting_for_room_;
  }
  if (!health_.ok()) {
    const Status why = health_;
    lock.unlock();
    pending.Complete(why);
    return;
  }
  if (pending.decided) proposed_.insert(std::get<Decision>(pending.record).gid);
  queue_.push_back(std::move(pending));
  if (IsIdle()) {
    Flush(lock);
  } else if (!flushing_) {
    WakeFlusher();
  }
}

bool FileLog::IsIdle() const {
  return !flushing_ && queue_.size() == 1 && SystemClock().Now() - last_flush_ > kIdleAfter;
}

void FileLog::WakeFlusher() {
  if (flusher_state_ == Flusher::kAwake) return;
  flusher_state_ = Flusher::kAwake;
  work_.notify_one();
}

void FileLog::RunFlusher() {
  Lock lock(mutex_);
  for (;;) {
    WaitForWork(lock);
    if (stopping_ && queue_.empty() && ends_.empty()) return;
    if (rest_until_ > SystemClock().Now()) {
      work_.wait_until(lock, rest_until_, [this] { return stopping_; });
    }
    if (!flushing_) Flush(lock);
  }
}

// Until there is something to flush and nobody who does it. End records alone wait
// a while for a commit whose sync they can share.
void FileLog::WaitForWork(Lock& lock) {
  const auto wants_flush = [this] {
    return !flushing_ && (stopping_ || !queue_.empty() || ends_.size() > kMaxQueued / 4);
  };
  while (!wants_flush()) {
    if (flushing_ || ends_.empty() || !health_.ok()) {
      flusher_state_ = Flusher::kWaitsForAnything;
      work_.wait(lock, [this] { return flusher_state_ == Flusher::kAwake; });
      continue;
    }
    flusher_state_ = Flusher::kWaitsForCommits;
    const bool woken =
        work_.wait_for(lock, kLazyEnds, [this] { return flusher_state_ == Flusher::kAwake; });
    flusher_state_ = Flusher::kAwake;
    if (!woken && !flushing_ && !ends_.empty()) return;
  }
}

// Writes and syncs one group and completes it. Called with the lock and without
// flushing_; other threads queue meanwhile.
void FileLog::Flush(Lock& lock) {
  flushing_ = true;
  const TimePoint began = SystemClock().Now();
  std::vector<std::string> bodies;
  Batch batch = TakeBatch(bodies);
  Status status = health_;
  if (status.ok() && !bodies.empty()) {
    lock.unlock();
    status = WriteGroup(batch, bodies);
    lock.lock();
  }
  const TimePoint now = SystemClock().Now();
  if (batch.size() >= kRestFrom) {
    rest_until_ = now + std::min(kRestInSyncs * (now - began), kLongestRest);
  }
  if (status.ok()) {
    for (Pending& pending : batch) {
      if (pending.decided) proposed_.erase(std::get<Decision>(pending.record).gid);
      if (!pending.body.empty()) state_.Apply(std::move(pending.record), now);
    }
  } else {
    status = Stop(status);
  }
  last_flush_ = now;
  flushing_ = false;
  if (waiting_for_room_ > 0) room_.notify_all();
  if (!queue_.empty() || !ends_.empty() || stopping_) WakeFlusher();
  lock.unlock();
  for (Pending& pending : batch) pending.Complete(status);
  lock.lock();
}

// Whoever is completed may take every end before it for durable: stores forget then.
// So ends go first, and as long as some do not fit, nothing else is written.
FileLog::Batch FileLog::TakeBatch(std::vector<std::string>& bodies) {
  Batch batch;
  uint64_t bytes = 0;
  while (!ends_.empty() && bytes < kMaxGroupBytes / 2) {
    bytes += log_format::kRecordHeaderBytes + ends_.front().size();
    bodies.push_back(std::move(ends_.front()));
    ends_.pop_front();
  }
  while (!queue_.empty() && ends_.empty()) {
    const uint64_t more = log_format::kRecordHeaderBytes + queue_.front().body.size();
    if (!batch.empty() && bytes + more > kMaxGroupBytes) break;
    bytes += more;
    if (!queue_.front().body.empty()) bodies.push_back(queue_.front().body);
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

Status FileLog::WriteGroup(const Batch& batch, const std::vector<std::string>& bodies) {
  const uint64_t payload_bytes = PayloadBytes(bodies);
  if (!writer_->HasRoom(payload_bytes)) INDOUBT_RETURN_IF_ERROR(Rotate(payload_bytes));
  INDOUBT_RETURN_IF_ERROR(writer_->Append(bodies));
  for (const Pending& pending : batch) {
    if (pending.decided) INDOUBT_RETURN_IF_ERROR(HitFailPoint("decision_written"));
  }
  INDOUBT_RETURN_IF_ERROR(writer_->Sync());
  for (const Pending& pending : batch) {
    if (std::holds_alternative<HeuristicRecord>(pending.record)) {
      INDOUBT_RETURN_IF_ERROR(HitFailPoint("heuristic_recorded"));
    }
  }
  return Status::Ok();
}

// Everything written so far is synced and in state_ (this thread holds flushing_),
// so the new segment can carry all of it, and the old one may go.
Status FileLog::Rotate(uint64_t payload_bytes) {
  std::vector<std::string> carried;
  {
    const Lock lock(mutex_);
    carried = CarriedRecords(state_, incarnation_, options_.node);
  }
  log_format::SegmentHeader header = Successor(*writer_);
  header.size = std::max(std::min(options_.segment_bytes, 2 * writer_->header().size),
                         log_format::kGroupsStart + log_format::GroupBytes(payload_bytes));
  const uint64_t old = writer_->header().number;
  INDOUBT_ASSIGN_OR_RETURN(writer_,
                           SegmentWriter::Create(files_, folder_path_, header, carried));
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("segment_opened"));
  return DropSegments(files_, folder_path_, {old});
}

// For good: nobody may be told anything after a failed write or sync, and what is
// queued is in doubt with it.
Status FileLog::Stop(const Status& why) {
  if (health_.ok()) {
    health_ = why.WithContext(
        fmt::format("the decision log {} stopped, restart to recover", folder_path_));
  }
  ends_.clear();
  return health_;
}

}  // namespace

Result<std::unique_ptr<DecisionLog>> OpenFileLog(FileSystem& files, const std::string& path,
                                                 const FileLogOptions& options) {
  INDOUBT_ASSIGN_OR_RETURN(OpenedFolder folder, OpenLogFolder(files, path, options));
  return std::unique_ptr<DecisionLog>(
      std::make_unique<FileLog>(files, std::move(folder), options));
}

}  // namespace indoubt
