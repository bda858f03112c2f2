#include "coordinator/decision_rows.h"

namespace indoubt {
namespace {

constexpr Duration kRemoveLimit = std::chrono::seconds(5);

}  // namespace

void DecisionRows::Ended(const Gid& gid, std::vector<size_t> participants) {
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({gid, std::move(participants)});
    if (waiting_.size() > kMaxWaiting) waiting_.pop_front();
    full = waiting_.size() >= kBatch && !under_way_;
    if (!full) StartBatchLater();
  }
  if (full) StartBatch();
}

/// Needs the mutex.
void DecisionRows::StartBatchLater() {
  if (timed_) return;
  timed_ = true;
  runtime_.ScheduleAt(runtime_.Now() + kLazy, [this] {
    {
      const std::lock_guard lock(mutex_);
      timed_ = false;
    }
    if (!enter_()) return;
    StartBatch();
    leave_();
  });
}

void DecisionRows::StartBatch() {
  const auto batch = std::make_shared<std::vector<Row>>();
  {
    const std::lock_guard lock(mutex_);
    if (under_way_ || waiting_.empty()) return;
    under_way_ = batch;
    // One table's rows: those that carry the same home as the oldest.
    while (!waiting_.empty() && batch->size() < kBatch &&
           (batch->empty() || waiting_.front().gid.home == batch->front().gid.home)) {
      batch->push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
  }
  log_.FlushEnds([this, batch](const Status& flushed) {
    if (!enter_()) return;
    // With a log that stopped, the rows are what the next start knows of the commits.
    if (flushed.ok()) {
      RemoveRows(batch);
    } else {
      OnRemoved(batch, false);
    }
    leave_();
  });
}

void DecisionRows::RemoveRows(const Batch& batch) {
  LastResource* last_resource = At(batch->front().gid.home.view());
  if (last_resource == nullptr) return OnRemoved(batch, false);
  std::vector<Gid> gids;
  gids.reserve(batch->size());
  for (const Row& row : *batch) gids.push_back(row.gid);
  last_resource->ForgetDecisions(std::move(gids), runtime_.Now() + kRemoveLimit,
                                 [this, batch](const Status& removed) {
                                   if (!enter_()) return;
                                   OnRemoved(batch, removed.ok());
                                   leave_();
                                 });
}

void DecisionRows::OnRemoved(const Batch& batch, bool removed) {
  if (removed) {
    for (const Row& row : *batch) {
      for (size_t i : row.participants) participants_[i]->Forget(row.gid);
    }
  }
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    under_way_ = nullptr;
    if (!removed) {
      ++failures_;
      waiting_.insert(waiting_.begin(), batch->begin(), batch->end());
      while (waiting_.size() > kMaxWaiting) waiting_.pop_front();
    }
    more = removed && waiting_.size() >= kBatch;
    if (!more && !waiting_.empty()) StartBatchLater();
  }
  runtime_.Notify();
  if (more) StartBatch();
}

std::vector<Gid> DecisionRows::Waiting() const {
  std::vector<Gid> gids;
  const std::lock_guard lock(mutex_);
  gids.reserve(waiting_.size() + (under_way_ ? under_way_->size() : 0));
  for (const Row& row : waiting_) gids.push_back(row.gid);
  if (!under_way_) return gids;
  for (const Row& row : *under_way_) gids.push_back(row.gid);
  return gids;
}

void DecisionRows::Flush(TimePoint deadline) {
  uint64_t failures = 0;
  {
    const std::lock_guard lock(mutex_);
    failures = failures_;
  }
  const auto idle = [this] {
    const std::lock_guard lock(mutex_);
    return under_way_ == nullptr;
  };
  for (;;) {
    StartBatch();
    if (!runtime_.WaitUntil(deadline, idle)) return;
    const std::lock_guard lock(mutex_);
    if (waiting_.empty() || failures_ != failures) return;
  }
}

LastResource* DecisionRows::At(std::string_view home) const {
  for (const auto& participant : participants_) {
    LastResource* last_resource = participant->last_resource();
    if (last_resource != nullptr && last_resource->home() == home) return last_resource;
  }
  return nullptr;
}

}  // namespace indoubt
