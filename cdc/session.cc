#include "cdc/session.h"

#include <set>

#include <fmt/format.h>

#include "base/gid.h"
#include "cdc/log/sqlite_event_log.h"
#include "cdc/slot_name.h"
#include "cdc/source/snapshot.h"
#include "cdc/source/source_history.h"
#include "cdc/table_name.h"
#include "cdc/views/make_view.h"
#include "cdc/views/view_copy.h"

namespace indoubt::cdc_internal {
namespace {

Status CheckOptions(const CdcOptions& options) {
  const auto wrong = [](std::string what) {
    return Status(StatusCode::kInvalidArgument, "cdc: " + std::move(what));
  };
  if (options.tables.empty()) return wrong("no tables; name at least one");
  if (options.event_log_path.empty()) return wrong("no path for the event log");
  if (options.publication.empty()) return wrong("no name for the publication");
  if (!IsSlotName(options.slot)) {
    return wrong("a slot's name is 1 to 63 characters of a-z, 0-9 and _");
  }
  std::set<std::string> names;
  for (const ViewOptions& view : options.views) {
    if (!IsValidName(view.name)) {
      return wrong("a view's name is 1 to 32 characters of A-Z, a-z, 0-9, _ and -");
    }
    if (!names.insert(view.name).second) {
      return wrong(fmt::format("two views are named {}", view.name));
    }
  }
  return Status::Ok();
}

}  // namespace

Status Session::Open() {
  INDOUBT_RETURN_IF_ERROR(CheckOptions(options_));
  std::vector<std::unique_ptr<View>> views;
  for (const ViewOptions& view : options_.views) {
    INDOUBT_ASSIGN_OR_RETURN(views.emplace_back(), MakeView(view));
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto tables, BareTableNames(options_.tables));
  INDOUBT_ASSIGN_OR_RETURN(log_, OpenSqliteEventLog(options_.event_log_path));
  const SlotOptions slot{options_.source_dsn, options_.slot, options_.publication,
                         options_.slot_lock_timeout};
  INDOUBT_RETURN_IF_ERROR(OpenSource(slot));
  FollowWith(std::move(views), tables, slot);
  INDOUBT_ASSIGN_OR_RETURN(auto kept, log_->ReadSnapshotProgress());
  events::SnapshotProgress snapshot = kept ? std::move(*kept) : events::SnapshotProgress();
  events::PublicationMarks marks = snapshot.publication();
  source_ = std::make_unique<SourceRunner>(slot, published_, std::move(marks),
                                           std::move(snapshot), *log_, stop_);
  KeepLog();
  return Status::Ok();
}

void Session::FollowWith(std::vector<std::unique_ptr<View>> views,
                         const std::vector<std::string>& tables, const SlotOptions& slot) {
  for (size_t i = 0; i < views.size(); ++i) {
    SlotOptions own = slot;
    own.slot = fmt::format("{}_copy", slot.slot.substr(0, 40));
    ViewCopier copy = [this, own](View& view) {
      return CopyTables(view, own, options_.tables, *log_, stop_, options_.start_timeout);
    };
    views_.push_back(std::make_unique<ViewRunner>(options_.views[i], std::move(views[i]),
                                                  tables, std::move(copy), *log_, stop_));
  }
}

void Session::KeepLog() {
  if (!options_.retention.removes()) return;
  const auto passed = [this] {
    std::vector<ViewPassed> all;
    for (const auto& view : views_) all.push_back(view->passed());
    return all;
  };
  keeper_ = std::make_unique<LogKeeper>(options_.retention, options_.event_log_path, passed,
                                        *log_, stop_);
}

Status Session::OpenSource(const SlotOptions& slot) {
  const TimePoint deadline = SystemClock().Now() + options_.start_timeout;
  if (log_->state() != EventLogState::kNew) {
    INDOUBT_RETURN_IF_ERROR(CheckLogsSlot(log_->slot(), slot.slot));
  }
  if (log_->state() == EventLogState::kStreaming) {
    Status checked = CheckSource(slot, *log_, stop_, deadline);
    // Before it follows the slot, the source's thread looks again.
    if (checked.code() == StatusCode::kLocked) checked = Status::Ok();
    const bool again =
        options_.on_slot_loss == OnSlotLoss::kSnapshot && ANewSnapshotHelps(checked);
    if (!checked.ok() && !again) return checked;
    if (again) {
      loss_ = checked;
      INDOUBT_RETURN_IF_ERROR(log_->Restart());
    }
  }
  INDOUBT_ASSIGN_OR_RETURN(
      published_, PrepareSource(slot, options_.tables, *log_, stop_, options_.start_timeout));
  return Status::Ok();
}

void Session::Stop() {
  stop_.Set();
  const std::lock_guard lock(joining_);
  if (log_) log_->Interrupt();
  if (keeper_) keeper_->Join();
  if (source_) source_->Join();
  for (const auto& view : views_) view->Join();
}

CdcStatus Session::status() const {
  const SourceState source = source_->state();
  CdcStatus status;
  status.source = source.source;
  const LogEnd end = log_->end();
  status.logged = end.complete;
  status.staged = end.staged;
  status.confirmed_flush = source.confirmed;
  status.source_health = source.health;
  for (const auto& view : views_) status.views.push_back(view->state());
  if (keeper_) status.retention = keeper_->health();
  return status;
}

}  // namespace indoubt::cdc_internal
