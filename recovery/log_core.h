// The decision log in files, all but its thread: what is queued, written and synced as
// one group, applied, answered. Whoever owns a thread says when to flush (file_log.cc);
// a simulator says it at a time of its own choosing.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "recovery/log_folder.h"
#include "recovery/log_state.h"
#include "recovery/spare_segment.h"

namespace indoubt {

/// Thread-safe as DecisionLog says. A derived class decides which thread flushes; one
/// at a time does.
class LogCore : public DecisionLog {
 public:
  /// `files` and the clock of `options` must outlive the log.
  LogCore(FileSystem& files, OpenedFolder folder, const FileLogOptions& options);

  const LogId& id() const override { return id_; }
  uint32_t incarnation() const override { return incarnation_; }
  bool accepted() const override;
  void Accept(LogCallback done) override;
  void Decide(const Gid& gid, DecisionOutcome outcome, std::vector<BranchRecord> branches,
              DecideCallback done, RequestName request = {}) override;
  void End(const Gid& gid) override;
  void FlushEnds(LogCallback done) override;
  void RecordHeuristic(HeuristicRecord record, LogCallback done) override;
  void RecordOperatorDecision(OperatorDecision decision, LogCallback done) override;
  void Forget(const Gid& gid, OperatorTrace by, LogCallback done) override;
  std::vector<Decision> Unended() const override;
  std::vector<HeuristicRecord> Heuristics() const override;
  std::vector<OperatorDecision> OperatorDecisions() const override;
  LoggedState Find(const Gid& gid) const override;
  bool IsForgotten(const Gid& gid) const override;
  std::optional<NamedCommit> FindRequest(const std::string& id) const override;
  bool HasRoomForRequest() override;
  Status health() const override;

 protected:
  using Lock = std::unique_lock<std::mutex>;

  /// No more than this are to wait in the queue.
  static constexpr size_t kMaxQueued = 1 << 16;
  /// End records beyond this are flushed without company.
  static constexpr size_t kManyEnds = kMaxQueued / 4;

  // What happens, told to the derived class with the lock held.

  /// Somebody is about to queue; may wait until there is room or health_ is not Ok.
  virtual void BeforeQueueing(Lock& lock) = 0;
  /// The queue has grown: flush now (the lock is released meanwhile) or see to it.
  virtual void OnQueued(Lock& lock) = 0;
  /// An end record waits for a group to ride along with.
  virtual void OnEndWaits() = 0;
  /// A group of so many commits and other records is durable, or failed; it is not yet
  /// answered.
  virtual void OnFlushed(size_t records, TimePoint began, TimePoint ended) = 0;

  struct Pending {
    LogRecord record;
    std::string body;        // until it is in a group
    bool has_body = false;   // else it waits only for what comes before it
    uint8_t answerer = 0;    // who answers it, as the derived class counts; 0: anybody
    DecideCallback decided;  // for a commit
    LogCallback logged;      // for the others

    void Complete(const Status& status);
  };
  using Batch = std::vector<Pending>;

  /// Has a flushed group answered: here and now, or later by another thread. May release
  /// the lock meanwhile.
  virtual void HaveAnswered(Batch batch, const Status& status, Lock& lock) {
    Answer(std::move(batch), status, lock);
  }
  /// Calls everybody's callback, without the lock.
  void Answer(Batch batch, const Status& status, Lock& lock);
  /// The memory of a batch that was answered, for the next one. Called with the lock.
  void TakeBack(Batch& answered) {
    if (spare_batch_.capacity() < answered.capacity()) spare_batch_.swap(answered);
  }

  /// Writes and syncs one group and has it answered. Called with the lock and without
  /// flushing_; other threads queue meanwhile.
  void Flush(Lock& lock);

  TimePoint Now() const { return options_.clock->Now(); }
  /// Whether no commit but, at most, one that is queued is on its way from its proposal
  /// to its end: then nobody else waits for this log.
  bool NothingElseUnderWay() const { return proposed_.size() <= 1 && !state_.HasUnended(); }
  /// From now on the zeros of long segments are written ahead, on a thread for them.
  void PrepareSegmentsAhead();
  bool HasWork() const { return !queue_.empty() || !ends_.empty(); }

  mutable std::mutex mutex_;      // guards everything below
  std::vector<Pending> queue_;    // commits and others that wait for a group
  std::deque<std::string> ends_;  // end records that wait for company
  bool flushing_ = false;         // some thread writes or syncs
  Status health_;

 private:
  void AnswerAbort(const Gid& gid, DecisionOutcome outcome, const DecideCallback& done) const;
  void Submit(LogRecord record, LogCallback logged);
  /// With a body, of the record.
  void Submit(Pending&& pending);
  void Enqueue(Pending&& pending);
  Batch TakeBatch(std::vector<std::string>& bodies);
  Status WriteGroup(const Batch& batch, const std::vector<std::string>& bodies);
  Status Rotate(uint64_t payload_bytes);
  uint64_t NextSegmentBytes() const;
  Status Stop(const Status& why);

  uint64_t queued_bytes_ = 0;  // of the records in queue_
  Batch spare_batch_;          // empty; its memory is for the next queue_
  LogState state_;             // of what is durable (ends: of what was said)
  /// Commits not known durable; kept after a failure.
  boost::unordered_flat_set<Gid, std::hash<Gid>> proposed_;
  std::unordered_map<std::string, NamedCommit> proposed_requests_;  // of those, by id

  // Constant, or used only by the thread that set flushing_.
  FileSystem& files_;
  const FileLogOptions options_;
  const std::string folder_path_;
  const std::unique_ptr<FileLock> lock_;
  const LogId id_;
  const uint32_t incarnation_;
  std::unique_ptr<SegmentWriter> writer_;
  std::unique_ptr<SpareSegment> spare_;  // none: segments are made when they are needed

  std::atomic<bool> stopped_{false};  // whether health_ is not Ok, without the lock
};

}  // namespace indoubt
