// The one writer of a SQLite file: a thread that gathers what waits into one SQLite
// transaction, so that many prepares and commits share one sync of the WAL.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "participants/sqlite/job.h"
#include "participants/sqlite/sqlite_participant.h"

namespace indoubt::sqlite {

/// Thread-safe.
class WriteQueue {
 public:
  explicit WriteQueue(SqliteOptions options);
  ~WriteQueue();
  /// Answers what is still waiting, and joins the thread; later jobs are refused.
  void Stop();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  /// Hands a job over; when the queue is full it is answered at once, as failed.
  void Push(Job job);

  static constexpr size_t kCapacity = 10'000;
  static constexpr size_t kMaxBatch = 128;
  static constexpr size_t kMaxParked = 1'000;

 private:
  void Run();
  std::vector<Job> Take();
  void RunBatch(std::vector<Job> batch);
  std::vector<Job> RunOnce(std::vector<Job> batch);
  std::vector<Job> AfterLoss(std::vector<Job> done, std::vector<Job> rest);
  Status OpenTransaction(std::vector<Job>& batch);
  void Execute(Job& job);
  bool Park(Job& job);
  void EndParked(const Gid& gid);
  void FinishBatch(std::vector<Job>& done, bool wrote);
  void Expire(std::vector<Job>& jobs);
  bool Stopping();

  const SqliteOptions options_;
  std::unique_ptr<BranchStore> store_;  // the thread's own
  std::vector<Job> parked_;             // older ones, waiting for a younger one's lock
  bool retry_parked_ = false;
  TimePoint next_retry_{};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;  // guarded by mutex_
  bool stop_ = false;      // guarded by mutex_
  std::thread thread_;
};

}  // namespace indoubt::sqlite
