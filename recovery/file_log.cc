#include "recovery/file_log.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "base/failpoint.h"
#include "recovery/log_opener.h"
#include "recovery/segment_writer.h"

namespace indoubt {
namespace {

constexpr auto kLockPoll = std::chrono::milliseconds(20);
constexpr uint64_t kSmallestSegment = 64u << 10;
/// Lazy records are written without a sync once so many wait.
constexpr size_t kMostLazy = 4096;
constexpr size_t kMostGroupBytes = 4u << 20;

/// A record under way, and what to do when it is durable or never will be.
struct Waiting {
  std::string bytes;
  records::Record record;
  std::function<void(const Status&)> done;
};

class FileLog final : public DecisionLog {
 public:
  FileLog(FileSystem& files, std::string folder, FileLogOptions options,
          std::unique_ptr<FileLock> lock, OpenedLog opened)
      : files_(files),
        folder_(std::move(folder)),
        options_(std::move(options)),
        lock_(std::move(lock)),
        id_(opened.is_new ? LogId::Random() : opened.id),
        state_(std::move(opened.state)),
        next_segment_(opened.next_segment),
        next_sequence_(opened.next_sequence),
        old_segments_(std::move(opened.segments)) {}

  ~FileLog() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (flusher_.joinable()) flusher_.join();
  }

  /// Makes what was read, and the new incarnation, durable in a fresh segment.
  Status TakeOver() {
    incarnation_ = state_.incarnation() + 1;
    state_.set_incarnation(incarnation_);
    INDOUBT_RETURN_IF_ERROR(OpenSegment());
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("incarnation_durable"));
    flusher_ = std::thread([this] { FlusherLoop(); });
    return Status::Ok();
  }

  const LogId& id() const override { return id_; }
  uint32_t incarnation() const override { return incarnation_; }

  void Decide(const Gid& gid, DecisionOutcome outcome, std::vector<BranchRecord> branches,
              DecideCallback done) override {
    if (outcome != DecisionOutcome::kCommitted) return done(outcome, Status::Ok());
    records::Record record = CommitRecord({gid, std::move(branches)});
    Submit(std::move(record), [done = std::move(done)](const Status& status) {
      done(status.ok() ? DecisionOutcome::kCommitted : DecisionOutcome::kUnknown, status);
    });
  }

  void End(const Gid& gid) override {
    const std::lock_guard lock(mutex_);
    state_.End(gid, SystemClock().Now());
    lazy_.push_back(EncodeRecord(EndRecord(gid)));
    if (lazy_.size() >= kMostLazy) wake_.notify_all();
  }

  void RecordHeuristic(HeuristicRecord record, LogCallback done) override {
    Submit(HeuristicToRecord(record), [done = std::move(done)](const Status& status) {
      const Status passed = status.ok() ? HitFailPoint("heuristic_recorded") : status;
      done(passed);
    });
  }

  void ForgetHeuristics(const Gid& gid, LogCallback done) override {
    Submit(ForgetRecord(gid), [done = std::move(done)](const Status& status) { done(status); });
  }

  std::vector<Decision> Unended() const override {
    const std::lock_guard lock(mutex_);
    return state_.Unended();
  }
  std::vector<HeuristicRecord> Heuristics() const override {
    const std::lock_guard lock(mutex_);
    return state_.heuristics();
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
  using Batch = std::vector<Waiting>;

  /// Queues a record. If nobody flushes, this thread does, for this record alone;
  /// what others queue meanwhile is the flusher's.
  void Submit(records::Record record, std::function<void(const Status&)> done) {
    Waiting waiting{EncodeRecord(record), std::move(record), std::move(done)};
    Batch batch;
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(waiting));
      if (flushing_) return;
      flushing_ = true;
      batch = TakeBatch();
    }
    Flush(std::move(batch));
  }

  void FlusherLoop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] {
        return !flushing_ && (stopping_ || !queue_.empty() || lazy_.size() >= kMostLazy);
      });
      if (stopping_ && queue_.empty() && lazy_.empty()) return;
      flushing_ = true;
      Batch batch = TakeBatch();
      lock.unlock();
      Flush(std::move(batch));
      lock.lock();
    }
  }

  /// Needs the mutex.
  Batch TakeBatch() {
    Batch batch;
    size_t bytes = 0;
    while (!queue_.empty() && bytes < kMostGroupBytes) {
      bytes += queue_.front().bytes.size();
      batch.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    return batch;
  }

  /// Writes and syncs a batch, with the lazy records; owns `flushing_`.
  void Flush(Batch batch) {
    std::vector<std::string> lazy;
    Status status;
    {
      const std::lock_guard lock(mutex_);
      lazy.swap(lazy_);
      status = health_;
    }
    if (status.ok()) status = Write(batch, lazy);
    {
      const std::lock_guard lock(mutex_);
      if (!status.ok() && health_.ok()) {
        health_ = status.WithContext(
            "the decision log has stopped; what was being decided is in doubt until a restart");
      }
      status = health_;
      if (status.ok()) {
        for (const Waiting& waiting : batch) {
          // Our own records; they apply or it is a bug.
          const Status applied = state_.Apply(waiting.record, SystemClock().Now());
          INDOUBT_CHECK(applied.ok(), applied.ToString());
        }
      }
      flushing_ = false;
    }
    wake_.notify_all();
    for (Waiting& waiting : batch) waiting.done(status);
  }

  Status Write(const Batch& batch, const std::vector<std::string>& lazy) {
    if (segment_->size() >= std::max(options_.segment_bytes, kSmallestSegment)) {
      // Ends that are still lazy are in the state already, and so in the checkpoint.
      INDOUBT_RETURN_IF_ERROR(OpenSegment());
    }
    std::string payload;
    for (const std::string& record : lazy) payload += record;
    for (const Waiting& waiting : batch) payload += waiting.bytes;
    const auto count = static_cast<uint32_t>(lazy.size() + batch.size());
    if (count == 0) return Status::Ok();
    INDOUBT_RETURN_IF_ERROR(
        segment_->Append(EncodeGroup(segment_->number(), next_sequence_, count, payload)));
    next_sequence_ += count;
    if (batch.empty()) return Status::Ok();
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("decision_written"));
    return segment_->Sync();
  }

  /// A fresh, durable segment that carries all that matters; what came before it is
  /// removed, durably, before anything else is written.
  Status OpenSegment() {
    std::vector<records::Record> carried;
    {
      const std::lock_guard lock(mutex_);
      carried = state_.Carried();
    }
    records::Record& last = carried.emplace_back();
    last.mutable_checkpoint()->set_incarnation(incarnation_);
    last.mutable_checkpoint()->set_records(carried.size() - 1);
    std::string payload;
    for (const records::Record& record : carried) payload += EncodeRecord(record);
    const auto count = static_cast<uint32_t>(carried.size());
    auto segment =
        SegmentWriter::Create(files_, folder_, {next_segment_, id_},
                              EncodeGroup(next_segment_, next_sequence_, count, payload));
    if (!segment) return segment.error();
    next_sequence_ += count;
    segment_ = std::move(*segment);
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("segment_opened"));
    for (const uint64_t number : old_segments_) {
      INDOUBT_RETURN_IF_ERROR(files_.Remove(folder_ + "/" + SegmentName(number)));
    }
    if (!old_segments_.empty()) {
      INDOUBT_RETURN_IF_ERROR(files_.SyncDirectory(folder_));
      INDOUBT_RETURN_IF_ERROR(HitFailPoint("segment_dropped"));
    }
    old_segments_ = {next_segment_++};
    return Status::Ok();
  }

  FileSystem& files_;
  const std::string folder_;
  const FileLogOptions options_;
  const std::unique_ptr<FileLock> lock_;
  const LogId id_;
  uint32_t incarnation_ = 0;  // written before threads start

  mutable std::mutex mutex_;  // guards what follows, up to the next comment
  std::condition_variable wake_;
  LogState state_;
  Status health_;
  std::deque<Waiting> queue_;
  std::vector<std::string> lazy_;
  bool flushing_ = false;
  bool stopping_ = false;

  // Belong to whoever has set flushing_.
  std::unique_ptr<SegmentWriter> segment_;
  uint64_t next_segment_;
  uint64_t next_sequence_;
  std::vector<uint64_t> old_segments_;

  std::thread flusher_;
};

Result<std::unique_ptr<FileLock>> TakeLock(FileSystem& files, const std::string& folder,
                                           Duration timeout) {
  const TimePoint deadline = SystemClock().Now() + timeout;
  for (;;) {
    auto lock = files.Lock(folder + "/lock");
    if (lock || lock.error().code() != StatusCode::kLocked) return lock;
    if (SystemClock().Now() >= deadline) return lock;
    std::this_thread::sleep_for(kLockPoll);
  }
}

}  // namespace

Result<std::unique_ptr<DecisionLog>> OpenFileLog(FileSystem& files, const std::string& path,
                                                 const FileLogOptions& options) {
  INDOUBT_RETURN_IF_ERROR(files.CreateDirectory(path));
  INDOUBT_ASSIGN_OR_RETURN(auto lock, TakeLock(files, path, options.lock_timeout));
  INDOUBT_ASSIGN_OR_RETURN(
      OpenedLog opened,
      ReadLogFolder(files, path, options.outcome_retention, SystemClock().Now()));
  auto log =
      std::make_unique<FileLog>(files, path, options, std::move(lock), std::move(opened));
  INDOUBT_RETURN_IF_ERROR(log->TakeOver());
  return std::unique_ptr<DecisionLog>(std::move(log));
}

}  // namespace indoubt
