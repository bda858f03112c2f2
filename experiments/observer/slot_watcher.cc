#include "experiments/observer/slot_watcher.h"

#include <cstdlib>
#include <thread>
#include <utility>

namespace indoubt {
namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(100);
constexpr auto kBetweenSlots = std::chrono::milliseconds(500);
constexpr auto kBetweenCancels = std::chrono::milliseconds(25);

int64_t Number(const Cell& cell) {
  return std::strtoll(cell.value_or("0").c_str(), nullptr, 10);
}

}  // namespace

SlotWatcher::SlotWatcher(std::string slot, NdjsonFile& held, NdjsonFile* waits)
    : slot_(std::move(slot)),
      held_(held),
      waits_(waits),
      look_("slot watcher", kBetweenLooks, [this] { return Look(); }),
      make_("maker of slots", kBetweenSlots, [this] { return MakeSlot(); }) {}

Result<std::unique_ptr<SlotWatcher>> SlotWatcher::Start(const std::string& dsn,
                                                        const std::string& slot,
                                                        NdjsonFile& held, NdjsonFile* waits) {
  std::unique_ptr<SlotWatcher> watcher(new SlotWatcher(slot, held, waits));
  INDOUBT_ASSIGN_OR_RETURN(watcher->reader_, PostgresClient::Connect(dsn));
  watcher->look_.Start();
  if (waits == nullptr) return watcher;
  INDOUBT_ASSIGN_OR_RETURN(watcher->maker_, PostgresClient::Connect(dsn));
  watcher->make_.Start();
  return watcher;
}

Status SlotWatcher::Look() {
  INDOUBT_RETURN_IF_ERROR(reader_->Revive());
  const int64_t at = MonotonicNanos();
  INDOUBT_ASSIGN_OR_RETURN(
      const auto rows,
      reader_->Query("SELECT restart_lsn, (pg_current_wal_flush_lsn() - restart_lsn)::bigint, "
                     "(pg_current_wal_flush_lsn() - confirmed_flush_lsn)::bigint, "
                     "(SELECT count(*) FROM pg_prepared_xacts WHERE database = "
                     "current_database()) FROM pg_replication_slots WHERE slot_name = $1",
                     {slot_}));
  if (rows.empty() || !rows[0][0] || !rows[0][2]) {
    return Status(StatusCode::kNotFound, "slot " + slot_ + " is not there");
  }
  unconfirmed_ = Number(rows[0][2]);
  held_.Write({{"t_ns", at},
               {"restart_lsn", *rows[0][0]},
               {"retained_bytes", Number(rows[0][1])},
               {"unconfirmed_bytes", unconfirmed_.load()},
               {"prepared", Number(rows[0][3])}});
  return Status::Ok();
}

Status SlotWatcher::MakeSlot() {
  INDOUBT_RETURN_IF_ERROR(maker_->Revive());
  const int64_t started = MonotonicNanos();
  // A temporary one: it goes with the connection, whatever happens here.
  const Status made = maker_
                          ->Query(
                              "SELECT pg_create_logical_replication_slot('lab_probe_' || "
                              "pg_backend_pid(), 'pgoutput', true)")
                          .status();
  const int64_t ended = MonotonicNanos();
  // An attempt that failed for another reason says nothing of waiting.
  if (!made.ok() && !make_.stopping()) return made;
  waits_->Write({{"started_ns", started},
                 {"ended_ns", made.ok() ? nlohmann::json(ended) : nlohmann::json(nullptr)}});
  if (!made.ok()) return Status::Ok();
  return maker_->Query("SELECT pg_drop_replication_slot('lab_probe_' || pg_backend_pid())")
      .status();
}

void SlotWatcher::Stop() {
  look_.Stop();
  if (!maker_ || std::exchange(stopped_, true)) return;
  // The statement may be about to start, so cancel until the thread has seen it.
  std::atomic<bool> ended{false};
  std::thread canceller([&] {
    while (!ended) {
      maker_->Cancel();
      std::this_thread::sleep_for(kBetweenCancels);
    }
  });
  make_.Stop();
  ended = true;
  canceller.join();
}

std::optional<int64_t> SlotWatcher::unconfirmed_bytes() const {
  const int64_t bytes = unconfirmed_;
  return bytes < 0 ? std::nullopt : std::optional(bytes);
}

std::vector<std::string> SlotWatcher::Troubles() const { return TroublesOf({&look_, &make_}); }

}  // namespace indoubt
