#include "recovery/file_log.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "recovery/log_core.h"
#include "recovery/log_folder.h"

namespace indoubt {
namespace {

// With the last sync that long ago the log is idle: the caller syncs by itself, because a
// hand-off to the flusher costs more than it could gain. A caller that comes sooner may be
// an event loop with others waiting behind it.
constexpr Duration kIdleAfter = std::chrono::milliseconds(2);
// So it syncs by itself too when that many groups in a row were of one commit and nothing
// came meanwhile: it is alone. Now and then one is handed over all the same, to see whether
// it still is: a caller that syncs brings nothing else meanwhile.
constexpr int kLoneFrom = 4;
constexpr int kLookEvery = 16;
// After a group of that many commits the log rests for some of the sync's time, or until
// as many have come again: what comes meanwhile shares the next one, and the stores sync
// on the same device.
constexpr size_t kRestFrom = 4;
constexpr int kRestInSyncs = 3;
constexpr Duration kLongestRest = std::chrono::milliseconds(2);
// How long an end record may wait for a commit to ride along with.
constexpr Duration kLazyEnds = std::chrono::milliseconds(50);

/// The log with a thread of its own, which flushes whatever callers do not.
class FileLog final : public LogCore {
 public:
  FileLog(FileSystem& files, OpenedFolder folder, const FileLogOptions& options)
      : LogCore(files, std::move(folder), options) {
    PrepareSegmentsAhead();
    flusher_ = std::thread([this] { RunFlusher(); });
  }

  ~FileLog() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      flusher_state_ = Flusher::kAwake;
    }
    work_.notify_all();
    flusher_.join();
  }

 private:
  void BeforeQueueing(Lock& lock) override;
  void OnQueued(Lock& lock) override;
  void OnEndWaits() override;
  void OnFlushed(size_t records, TimePoint began, TimePoint ended) override;

  void RunFlusher();
  void WaitForWork(Lock& lock);
  void WakeFlusher();
  bool IsIdle() const;

  // Guarded by mutex_, as all below.
  std::condition_variable work_;  // the flusher waits here, and only it
  std::condition_variable room_;  // the queue got shorter
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
  int lone_groups_ = 0;   // in a row up to the last one
  size_t rest_for_ = 0;   // so many in the queue end a rest
  bool resting_ = false;  // the flusher does
  std::thread flusher_;   // last: it uses all of the above
};

void FileLog::BeforeQueueing(Lock& lock) {
  // The flusher itself, in a callback, must not wait for the flusher.
  if (std::this_thread::get_id() == flusher_.get_id()) return;
  ++waiting_for_room_;
  room_.wait(lock, [this] { return queue_.size() < kMaxQueued || !health_.ok(); });
  --waiting_for_room_;
}

void FileLog::OnQueued(Lock& lock) {
  // End records are lazy: no caller, who may be a timer, is held up for them.
  if (queue_.back().has_body && IsIdle()) {
    Flush(lock);
  } else if (resting_) {
    if (queue_.size() == rest_for_) work_.notify_one();
  } else if (!flushing_) {
    WakeFlusher();
  }
}

void FileLog::OnEndWaits() {
  if (flusher_state_ == Flusher::kWaitsForAnything || ends_.size() > kManyEnds) WakeFlusher();
}

void FileLog::OnFlushed(size_t records, TimePoint began, TimePoint ended) {
  if (records >= kRestFrom) {
    rest_until_ = ended + std::min(kRestInSyncs * (ended - began), kLongestRest);
    rest_for_ = records;
  }
  lone_groups_ = records == 1 && queue_.empty() ? lone_groups_ + 1 : 0;
  last_flush_ = ended;
  if (waiting_for_room_ > 0) room_.notify_all();
  if (HasWork() || stopping_) WakeFlusher();
}

bool FileLog::IsIdle() const {
  if (flushing_ || queue_.size() != 1 || WithinCallback::Here()) return false;
  const bool alone = lone_groups_ >= kLoneFrom && lone_groups_ % kLookEvery != 0;
  return (alone && NothingElseUnderWay()) || Now() - last_flush_ > kIdleAfter;
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
    if (stopping_ && !HasWork()) return;
    if (rest_until_ > Now()) {
      resting_ = true;
      work_.wait_until(lock, rest_until_,
                       [this] { return stopping_ || queue_.size() >= rest_for_; });
      resting_ = false;
    }
    if (!flushing_) Flush(lock);
  }
}

// Until there is something to flush and nobody who does it. End records alone wait
// a while for a commit whose sync they can share.
void FileLog::WaitForWork(Lock& lock) {
  const auto wants_flush = [this] {
    return !flushing_ && (stopping_ || !queue_.empty() || ends_.size() > kManyEnds);
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

}  // namespace

Result<std::unique_ptr<DecisionLog>> OpenFileLog(FileSystem& files, const std::string& path,
                                                 const FileLogOptions& options) {
  INDOUBT_ASSIGN_OR_RETURN(OpenedFolder folder, OpenLogFolder(files, path, options));
  return std::unique_ptr<DecisionLog>(
      std::make_unique<FileLog>(files, std::move(folder), options));
}

}  // namespace indoubt
