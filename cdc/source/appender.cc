#include "cdc/source/appender.h"

#include <cerrno>
#include <iterator>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/failpoint.h"

namespace indoubt::cdc_internal {
namespace {

// What one durable append takes; less when less has come.
constexpr size_t kMaxBatch = 4096;
constexpr size_t kMaxBatchBytes = size_t{4} << 20;
// After an append of so many the source is busy: the next one begins no sooner than so long
// after it began, because a larger batch needs fewer syncs. One that is full does not wait.
constexpr size_t kBusyBatch = 64;
constexpr std::chrono::milliseconds kGather{4};

}  // namespace

Appender::Appender(EventLog& log)
    : log_(log), news_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  INDOUBT_CHECK(news_fd_ >= 0, "eventfd");
  thread_ = std::thread([this] { Run(); });
}

Appender::~Appender() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
  close(news_fd_);
}

bool Appender::full() const {
  return waiting_.size() >= kMaxBatch || waiting_bytes_ >= kMaxBatchBytes;
}

void Appender::Give(std::vector<HeldTransaction>& transactions, size_t bytes) {
  bool wanted = false;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !full() || !failed_.ok(); });
    if (waiting_.empty()) {
      std::swap(waiting_, transactions);
    } else {
      waiting_.insert(waiting_.end(), std::make_move_iterator(transactions.begin()),
                      std::make_move_iterator(transactions.end()));
    }
    waiting_bytes_ += bytes;
    wanted = !gathering_ || full();
  }
  transactions.clear();
  if (wanted) changed_.notify_all();
}

void Appender::Advance(Lsn lsn) {
  {
    const std::lock_guard lock(mutex_);
    advance_ = lsn;
  }
  changed_.notify_all();
}

bool Appender::idle() const {
  const std::lock_guard lock(mutex_);
  return !failed_.ok() || (!has_work() && !working_);
}

Status Appender::status() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

void Appender::ClearNews() const {
  uint64_t count = 0;
  INDOUBT_CHECK(read(news_fd_, &count, sizeof count) == sizeof count || errno == EAGAIN,
                "eventfd read");
}

bool Appender::Await(std::unique_lock<std::mutex>& lock, TimePoint gather_until) {
  changed_.wait(lock, [this] { return ended_ || has_work(); });
  gathering_ = true;
  changed_.wait_until(lock, gather_until, [this] { return ended_ || full(); });
  gathering_ = false;
  return !ended_;
}

void Appender::Run() {
  TimePoint gather_until{};
  std::unique_lock lock(mutex_);
  while (failed_.ok() && Await(lock, gather_until)) {
    std::vector<HeldTransaction> batch;
    std::swap(batch, waiting_);
    waiting_bytes_ = 0;
    const Lsn advance = std::exchange(advance_, Lsn{});
    working_ = true;
    lock.unlock();
    changed_.notify_all();  // there is room
    const bool busy = batch.size() >= kBusyBatch;
    gather_until = busy ? SystemClock().Now() + kGather : TimePoint{};
    const Status appended = Append(std::move(batch), advance);
    lock.lock();
    working_ = false;
    failed_ = appended;
    const uint64_t one = 1;
    INDOUBT_CHECK(write(news_fd_, &one, sizeof one) == sizeof one || errno == EAGAIN,
                  "eventfd write");
  }
  changed_.notify_all();
}

Status Appender::Append(std::vector<HeldTransaction> batch, Lsn advance) {
  if (!batch.empty()) {
    INDOUBT_RETURN_IF_ERROR(log_.Append(std::move(batch)));
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_appended"));
  }
  return advance.value == 0 ? Status::Ok() : log_.Advance(advance);
}

}  // namespace indoubt::cdc_internal
