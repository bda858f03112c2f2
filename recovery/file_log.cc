#include "recovery/file_log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
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
// But not until all of very many have come: some are answered while others are synced.
constexpr size_t kRestForAtMost = 160;
// A group of that many commits is answered on threads for that, beside the next one's write
// and sync: answering it takes longer than a sync, and so does waking a thread pay.
constexpr size_t kAnsweredApartFrom = 64;
constexpr size_t kAnswerers = 2;
// One answerer gives the other some of its own when it has that many more.
constexpr size_t kUneven = 64;
// How long an end record may wait for a commit to ride along with.
constexpr Duration kLazyEnds = std::chrono::milliseconds(50);

/// Which answerer this thread is, of any log, from 1 on; 0 for every other thread.
thread_local uint8_t answerer_here = 0;

/// The log with threads of its own: one flushes whatever callers do not, others answer
/// large groups.
class FileLog final : public LogCore {
 public:
  FileLog(FileSystem& files, OpenedFolder folder, const FileLogOptions& options)
      : LogCore(files, std::move(folder), options) {
    PrepareSegmentsAhead();
    for (size_t i = 0; i < kAnswerers; ++i) {
      answerers_[i].thread = std::thread([this, i] { RunAnswerer(i); });
    }
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
    {
      const std::lock_guard lock(mutex_);
      flusher_ended_ = true;
    }
    for (Answerer& answerer : answerers_) answerer.group_waits.notify_all();
    for (Answerer& answerer : answerers_) answerer.thread.join();
    // What the last answers have asked for.
    Lock lock(mutex_);
    while (HasWork()) Flush(lock);
  }

 private:
  void BeforeQueueing(Lock& lock) override;
  void OnQueued(Lock& lock) override;
  void OnEndWaits() override;
  void OnFlushed(size_t records, TimePoint began, TimePoint ended) override;
  void HaveAnswered(Batch batch, const Status& status, Lock& lock) override;

  std::array<size_t, kAnswerers> Deal(Batch& batch) const;

  void RunFlusher();
  void RunAnswerer(size_t which);
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

  struct Group {
    Batch batch;
    const Status status;
    std::atomic<size_t> unanswered;  // parts of it, by answerer
  };
  struct Answerer {
    // That it has not begun yet; one at most, so that a log whose callers are slow to be
    // answered gathers larger groups, and no pile of them.
    std::shared_ptr<Group> waiting;
    std::condition_variable group_waits;  // it waits here
    std::thread thread;
  };
  std::condition_variable group_taken_;  // the flusher waits here, with the next group
  bool flusher_ended_ = false;

  std::thread flusher_;                         // these two last: they use all of the above
  std::array<Answerer, kAnswerers> answerers_;  // but for the threads guarded by mutex_
};

void FileLog::BeforeQueueing(Lock& lock) {
  // While the log ends only callbacks queue, perhaps on the thread that ends it, which must
  // not wait for itself; and it joins the flusher meanwhile, which changes that one's id.
  if (stopping_) return;
  // The flusher itself, in a callback, must not wait for the flusher, nor for it he whom
  // it may wait for.
  if (answerer_here != 0 || std::this_thread::get_id() == flusher_.get_id()) return;
  ++waiting_for_room_;
  room_.wait(lock, [this] { return queue_.size() < kMaxQueued || !health_.ok(); });
  --waiting_for_room_;
}

void FileLog::OnQueued(Lock& lock) {
  queue_.back().answerer = answerer_here;
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
    rest_for_ = std::min(records, kRestForAtMost);
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

void FileLog::HaveAnswered(Batch batch, const Status& status, Lock& lock) {
  if (batch.size() < kAnsweredApartFrom || flusher_ended_) {
    return Answer(std::move(batch), status, lock);
  }
  const auto parts = Deal(batch);
  const auto unanswered = kAnswerers - std::count(parts.begin(), parts.end(), 0);
  const std::shared_ptr<Group> group(
      new Group{std::move(batch), status, static_cast<size_t>(unanswered)});
  for (size_t i = 0; i < kAnswerers; ++i) {
    if (parts[i] == 0) continue;
    group_taken_.wait(lock, [&] { return !answerers_[i].waiting; });
    answerers_[i].waiting = group;
    answerers_[i].group_waits.notify_one();
  }
}

// Says who answers which, and how many each. What was proposed while another one was being
// answered stays with whoever answered that: a transaction's memory, and what its client
// begins next, is in that processor's caches. The first one answers the others.
std::array<size_t, kAnswerers> FileLog::Deal(Batch& batch) const {
  static_assert(kAnswerers == 2, "who has more, and who has less");
  std::array<size_t, kAnswerers> parts{}, own{};
  for (Pending& pending : batch) {
    if (pending.answerer == 0) {
      pending.answerer = 1;
    } else {
      ++own[pending.answerer - 1];
    }
    ++parts[pending.answerer - 1];
  }
  const size_t more = parts[0] >= parts[1] ? 0 : 1, less = 1 - more;
  if (parts[more] - parts[less] < kUneven) return parts;
  size_t given = std::min((parts[more] - parts[less]) / 2, own[more]);
  parts[more] -= given;
  parts[less] += given;
  for (auto pending = batch.rbegin(); given > 0; ++pending) {
    if (pending->answerer != more + 1) continue;
    pending->answerer = static_cast<uint8_t>(less + 1);
    --given;
  }
  return parts;
}

void FileLog::RunAnswerer(size_t which) {
  answerer_here = static_cast<uint8_t>(which + 1);
  Answerer& me = answerers_[which];
  Lock lock(mutex_);
  for (;;) {
    me.group_waits.wait(lock, [&] { return me.waiting || flusher_ended_; });
    if (!me.waiting) return;
    const std::shared_ptr<Group> group = std::exchange(me.waiting, nullptr);
    group_taken_.notify_one();
    lock.unlock();
    {
      const WithinCallback answers;
      for (Pending& pending : group->batch) {
        if (pending.answerer == which + 1) pending.Complete(group->status);
      }
    }
    const bool last = group->unanswered.fetch_sub(1) == 1;
    if (last) group->batch.clear();  // with what the callbacks hold
    lock.lock();
    if (last) TakeBack(group->batch);
  }
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
