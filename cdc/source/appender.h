// The appender's thread: makes durable what the source's thread hands it, so that receiving
// goes on during a sync. Private to this room.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cdc/event_log.h"

namespace indoubt::cdc_internal {

/// Give, Advance and ClearNews belong to one thread; the rest is thread-safe. Holds at most one
/// batch that is being appended and one that waits, of some MiB each, and a Give more.
class Appender {
 public:
  /// Starts the thread; until this goes it is the log's appender. `log` must outlive it.
  explicit Appender(EventLog& log);
  /// Waits for the append under way. What waits is dropped.
  ~Appender();
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  /// Takes over `transactions`, of `bytes` in all, in the stream's order, and leaves it empty.
  /// Blocks while as much waits as one append takes.
  void Give(std::vector<HeldTransaction>& transactions, size_t bytes);
  /// The log is complete up to `lsn`. Only when idle.
  void Advance(Lsn lsn);
  /// Whether everything given is durable, or never will be.
  bool idle() const;
  /// Why it has stopped for good: an append failed. Ok while it works.
  Status status() const;

  /// Readable once something given has become durable, or has failed, since ClearNews.
  int news_fd() const { return news_fd_; }
  void ClearNews() const;

 private:
  void Run();
  /// Waits for something to do; false when there will be nothing any more.
  bool Await(std::unique_lock<std::mutex>& lock, TimePoint gather_until);
  bool full() const;  // with mutex_ held, as is the next
  bool has_work() const { return !waiting_.empty() || advance_.value != 0; }
  Status Append(std::vector<HeldTransaction> batch, Lsn advance);

  EventLog& log_;
  const int news_fd_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  // Guarded by mutex_:
  std::vector<HeldTransaction> waiting_;
  size_t waiting_bytes_ = 0;
  Lsn advance_;             // 0/0: nothing to advance to
  bool working_ = false;    // an append is under way
  bool gathering_ = false;  // there is work, and it waits for more
  bool ended_ = false;      // nobody gives any more
  Status failed_;
  std::thread thread_;  // last
};

}  // namespace indoubt::cdc_internal
