#include "participants/sqlite/write_queue.h"

#include <iterator>

#include <fmt/format.h>

namespace indoubt::sqlite {
namespace {

constexpr auto kRetryInterval = std::chrono::milliseconds(5);
constexpr auto kBusySlice = std::chrono::milliseconds(50);

Status TimeIsUp(const Job& job) {
  std::string why = "the deadline passed before SQLite could do it";
  if (!job.attempt.holder.empty()) {
    why = "a row is locked by in-doubt transaction " + job.attempt.holder +
          "; waited for it until the deadline";
  }
  return Status(StatusCode::kDeadlineExceeded, why);
}

}  // namespace

WriteQueue::WriteQueue(SqliteOptions options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

WriteQueue::~WriteQueue() { Stop(); }

void WriteQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void WriteQueue::Push(Job job) {
  const char* why = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) {
      why = "the participant is shutting down";
    } else if (queue_.size() >= kCapacity) {
      why = "too much is waiting for this SQLite file; try again with fewer at a time";
    } else {
      queue_.push_back(std::move(job));
    }
  }
  if (why == nullptr) return wake_.notify_one();
  AnswerFailure(job, Status(StatusCode::kUnavailable, why), false);
}

bool WriteQueue::Stopping() {
  const std::lock_guard lock(mutex_);
  return stop_;
}

std::vector<Job> WriteQueue::Take() {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return stop_ || !queue_.empty(); };
  if (parked_.empty()) {
    wake_.wait(lock, ready);
  } else if (!retry_parked_) {
    wake_.wait_until(lock, next_retry_, ready);
  }
  std::vector<Job> batch;
  if (retry_parked_ || SystemClock().Now() >= next_retry_) {
    batch = std::move(parked_);
    parked_.clear();
    retry_parked_ = false;
    next_retry_ = SystemClock().Now() + kRetryInterval;
  }
  for (size_t i = 0; i < kMaxBatch && !queue_.empty(); ++i) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

void WriteQueue::Run() {
  while (!Stopping()) RunBatch(Take());
  std::deque<Job> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(queue_);
  }
  const Status stopped(StatusCode::kUnavailable, "the participant is shutting down");
  for (Job& job : parked_) AnswerFailure(job, stopped, true);
  parked_.clear();
  // Nobody asks a second time for something to be forgotten.
  std::vector<Job> forgets;
  for (Job& job : left) {
    if (job.kind == JobKind::kForget) {
      forgets.push_back(std::move(job));
    } else {
      AnswerFailure(job, stopped, true);
    }
  }
  RunBatch(std::move(forgets));
}

void WriteQueue::Expire(std::vector<Job>& jobs) {
  const TimePoint now = SystemClock().Now();
  std::vector<Job> expired;
  std::erase_if(jobs, [&](Job& job) {
    if (job.deadline > now) return false;
    expired.push_back(std::move(job));
    return true;
  });
  for (Job& job : expired) AnswerFailure(job, TimeIsUp(job), false);
}

/// Ok: a transaction is open. Jobs whose time runs out meanwhile are answered.
Status WriteQueue::OpenTransaction(std::vector<Job>& batch) {
  while (true) {
    Expire(batch);
    if (batch.empty()) return Status(StatusCode::kDeadlineExceeded, "nothing is left to do");
    const TimePoint slice = SystemClock().Now() + kBusySlice;
    Status status;
    if (store_ == nullptr) {
      auto opened = BranchStore::Open(options_.path, options_.tables, slice);
      status = opened.status();
      if (opened.has_value()) store_ = std::move(*opened);
    }
    if (status.ok()) status = store_->Begin(slice);
    if (status.code() != StatusCode::kLocked) return status;
    if (Stopping()) return Status(StatusCode::kUnavailable, "the participant is shutting down");
  }
}

void WriteQueue::RunBatch(std::vector<Job> batch) {
  while (!batch.empty()) batch = RunOnce(std::move(batch));
}

/// Runs a batch in one transaction. Returns those that must be run again, fewer.
std::vector<Job> WriteQueue::RunOnce(std::vector<Job> batch) {
  if (Status status = OpenTransaction(batch); !status.ok()) {
    for (Job& job : batch) AnswerFailure(job, status, false);
    if (!batch.empty()) store_.reset();  // a file that was replaced is opened anew
    return {};
  }
  std::vector<Job> done;
  bool wrote = false;
  size_t next = 0;
  for (; next < batch.size() && store_->InTransaction(); ++next) {
    Job& job = batch[next];
    if (job.kind == JobKind::kRollback) EndParked(job.gid);
    Execute(job);
    wrote |= job.attempt.wrote;
    if (job.attempt.holder.empty() || !Park(job)) done.push_back(std::move(job));
  }
  if (store_->InTransaction()) {
    FinishBatch(done, wrote);
    return {};
  }
  batch.erase(batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(next));
  return AfterLoss(std::move(done), std::move(batch));
}

/// SQLite undid everything (disk full, I/O error, a writing statement that was stopped at
/// its deadline): nothing of the batch has happened. Returns what to run again.
std::vector<Job> WriteQueue::AfterLoss(std::vector<Job> done, std::vector<Job> rest) {
  // Only one that was stopped is to blame for it; the others have time left.
  if (!done.empty() && done.back().attempt.status.code() == StatusCode::kDeadlineExceeded) {
    Job stopped = std::move(done.back());
    done.pop_back();
    AnswerFailure(stopped, Status(stopped.attempt.status), false);
    for (Job& job : done) UndoInMemory(job);
    // In front, as they came: a branch's roll back must not overtake its prepare.
    done.insert(done.end(), std::make_move_iterator(rest.begin()),
                std::make_move_iterator(rest.end()));
    return done;
  }
  const Status lost(StatusCode::kIoError,
                    fmt::format("SQLite rolled its transaction on {} back: {}", options_.path,
                                store_->LastFailure()));
  for (Job& job : done) {
    const Status own = job.attempt.status;
    AnswerFailure(job, own.ok() ? lost : own, false);
  }
  for (Job& job : rest) AnswerFailure(job, lost, false);
  return {};
}

void WriteQueue::FinishBatch(std::vector<Job>& done, bool wrote) {
  if (!wrote) {
    store_->Rollback();
  } else if (Status status = store_->Commit(); !status.ok()) {
    const bool unknown = !store_->DiskWasFull();
    store_->Rollback();
    store_.reset();
    for (Job& job : done) AnswerFailure(job, status, unknown);
    return;
  }
  for (const Job& job : done) retry_parked_ |= IsSecondPhase(job);
  for (Job& job : done) Answer(job);
}

void WriteQueue::Execute(Job& job) {
  job.attempt = Attempt();
  const std::string gid = job.gid.ToString();
  if (job.work && !job.work->failure.ok()) {
    job.attempt.status = job.work->failure;
    return;
  }
  RememberWork(job);
  // A decision runs to its end; what a user wrote does not, or one endless statement
  // would hold up everybody who shares this file's writer.
  if (!IsSecondPhase(job)) {
    store_->SetInterrupt([this, deadline = job.deadline] {
      return SystemClock().Now() >= deadline || Stopping();
    });
  }
  switch (job.kind) {
    case JobKind::kWork:
      job.attempt = store_->Work(*job.work, job.statements);
      break;
    case JobKind::kPrepare:
      job.attempt = store_->Prepare(*job.work, job.statements);
      break;
    case JobKind::kOnePhase:
      job.attempt = store_->CommitOnePhase(*job.work, job.statements);
      break;
    case JobKind::kCommit:
      job.ack = store_->CommitBranch(gid, options_.name, job.token);
      job.attempt.wrote = true;
      break;
    case JobKind::kRollback:
      job.ack = store_->RollbackBranch(gid, options_.name, job.token);
      job.attempt.wrote = true;
      break;
    case JobKind::kForget:
      // Best effort: a record that stays costs space only.
      job.attempt.wrote = store_->Forget(gid, options_.name).ok();
      break;
  }
  store_->SetInterrupt({});
}

/// Wait-die: an older transaction waits for a younger one's lock, a younger one ends.
/// So nobody waits in a circle, whatever other stores' locks it waits for.
bool WriteQueue::Park(Job& job) {
  const std::string& holder = job.attempt.holder;
  const auto held_by = Gid::Parse(holder);
  const bool older = held_by.has_value() && job.gid < *held_by;
  if (older && parked_.size() < kMaxParked && job.deadline > SystemClock().Now()) {
    parked_.push_back(std::move(job));
    return true;
  }
  job.attempt.status =
      Status(StatusCode::kAborted, "a row is locked by in-doubt transaction " + holder);
  return false;
}

void WriteQueue::EndParked(const Gid& gid) {
  std::vector<Job> ended;
  std::erase_if(parked_, [&](Job& job) {
    if (!(job.gid == gid)) return false;
    ended.push_back(std::move(job));
    return true;
  });
  const Status status(StatusCode::kAborted, "the transaction was rolled back meanwhile");
  for (Job& job : ended) AnswerFailure(job, status, false);
}

}  // namespace indoubt::sqlite
