#include "experiments/observer/observer.h"

#include "cdc/worker.h"

namespace indoubt {
namespace {

constexpr auto kTimelineInterval = std::chrono::milliseconds(100);

}  // namespace

Result<NdjsonFile*> Observer::File(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(auto file, NdjsonFile::Create(path));
  files_.push_back(std::move(file));
  return files_.back().get();
}

Result<std::unique_ptr<Observer>> Observer::Start(
    const StoreEndpoints& stores, const Shop& shop, bool two_phase, const DerivedWatch& derived,
    const RecentOrders& recent, std::function<LoadCounts()> counts, const std::string& folder) {
  std::unique_ptr<Observer> observer(new Observer());
  observer->counts_ = std::move(counts);
  if (two_phase) {
    INDOUBT_ASSIGN_OR_RETURN(NdjsonFile * in_doubt,
                             observer->File(folder + "/in_doubt.ndjson"));
    INDOUBT_ASSIGN_OR_RETURN(observer->prepared_, PreparedWatcher::Start(stores, *in_doubt));
  }
  INDOUBT_ASSIGN_OR_RETURN(NdjsonFile * blocked, observer->File(folder + "/blocked.ndjson"));
  INDOUBT_ASSIGN_OR_RETURN(observer->writers_,
                           OutsideWriters::Start(stores, shop, recent, *blocked));
  INDOUBT_ASSIGN_OR_RETURN(NdjsonFile * lag, observer->File(folder + "/lag.ndjson"));
  INDOUBT_ASSIGN_OR_RETURN(observer->lag_, LagWatcher::Start(stores, *lag));
  INDOUBT_ASSIGN_OR_RETURN(NdjsonFile * reads, observer->File(folder + "/reads.ndjson"));
  INDOUBT_ASSIGN_OR_RETURN(observer->reader_,
                           DoubleReader::Start(stores, shop.options().seed, recent, *reads));
  INDOUBT_RETURN_IF_ERROR(observer->WatchDerived(stores, derived, folder));
  INDOUBT_ASSIGN_OR_RETURN(observer->timeline_file_,
                           observer->File(folder + "/timeline.ndjson"));
  observer->timeline_ = std::make_unique<WatchThread>(
      "timeline", kTimelineInterval, [self = observer.get()] { return self->WriteTimeline(); });
  observer->timeline_->Start();
  return observer;
}

Observed Observer::Now() const {
  Observed now;
  if (prepared_) {
    now.in_doubt = prepared_->in_doubt();
    now.in_doubt_oldest = prepared_->oldest();
  }
  now.waiters = writers_->waiting();
  now.lag = lag_->Oldest();
  if (slot_) now.unconfirmed_bytes = slot_->unconfirmed_bytes();
  return now;
}

Status Observer::WatchDerived(const StoreEndpoints& stores, const DerivedWatch& derived,
                              const std::string& folder) {
  if (derived.views == nullptr) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(NdjsonFile * held, File(folder + "/slot.ndjson"));
  NdjsonFile* waits = nullptr;
  if (derived.slot_waits) {
    INDOUBT_ASSIGN_OR_RETURN(waits, File(folder + "/slot_waits.ndjson"));
  }
  INDOUBT_ASSIGN_OR_RETURN(
      slot_, SlotWatcher::Start(stores.postgres_dsn, derived.views->slot, *held, waits));
  if (!derived.token_reads) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(NdjsonFile * reads, File(folder + "/token_reads.ndjson"));
  INDOUBT_ASSIGN_OR_RETURN(token_reader_, TokenReader::Start(stores, *derived.views, *reads));
  return Status::Ok();
}

void Observer::Committed(int64_t order, TimePoint at) {
  lag_->Committed(order, at);
  if (token_reader_) token_reader_->Committed(order);
}

Status Observer::WriteTimeline() {
  const LoadCounts counts = counts_();
  const Observed now = Now();
  nlohmann::json lag_ms = nlohmann::json::object();
  for (const auto& [store, lag] : now.lag) {
    lag_ms[store] = std::chrono::duration<double, std::milli>(lag).count();
  }
  timeline_file_->Write({{"t_ns", MonotonicNanos()},
                         {"completed", counts.completed},
                         {"in_flight", counts.in_flight},
                         {"in_doubt", Nanos(now.in_doubt)},
                         {"waiters", now.waiters},
                         {"lag_ms", std::move(lag_ms)}});
  return Status::Ok();
}

void Observer::Stop() {
  if (timeline_) timeline_->Stop();
  if (writers_) writers_->Stop();
  if (reader_) reader_->Stop();
  if (token_reader_) token_reader_->Stop();
  if (slot_) slot_->Stop();
  if (lag_) lag_->Stop();
  if (prepared_) prepared_->Stop();
}

Status Observer::Close() {
  Stop();
  for (auto& file : files_) INDOUBT_RETURN_IF_ERROR(file->Close());
  return Status::Ok();
}

std::vector<std::string> Observer::Troubles() const {
  std::vector<std::string> troubles = writers_->Troubles();
  const auto add = [&](const std::vector<std::string>& more) {
    troubles.insert(troubles.end(), more.begin(), more.end());
  };
  add(lag_->Troubles());
  if (prepared_) add(prepared_->Troubles());
  if (slot_) add(slot_->Troubles());
  if (token_reader_) add(token_reader_->Troubles());
  if (const auto trouble = reader_->Trouble()) troubles.push_back(*trouble);
  return troubles;
}

}  // namespace indoubt
