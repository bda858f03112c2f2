#include "cdc/worker.h"

#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/gid.h"
#include "cdc/redis_view.h"
#include "cdc/snapshot.h"
#include "cdc/source_runner.h"
#include "cdc/sqlite_event_log.h"
#include "cdc/sqlite_view.h"
#include "cdc/view_runner.h"

namespace indoubt {
namespace {

using cdc_internal::PgConnection;
using cdc_internal::SlotOptions;
using cdc_internal::SourceRunner;
using cdc_internal::SourceState;
using cdc_internal::StopSignal;
using cdc_internal::ViewRunner;

Status CheckOptions(const CdcOptions& options) {
  const auto wrong = [](std::string what) {
    return Status(StatusCode::kInvalidArgument, "cdc: " + std::move(what));
  };
  if (options.tables.empty()) return wrong("no tables; name at least one");
  if (options.event_log_path.empty()) return wrong("no path for the event log");
  if (options.publication.empty()) return wrong("no name for the publication");
  if (options.slot.empty() || options.slot.size() > 63 ||
      options.slot.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") !=
          std::string::npos) {
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

Result<std::unique_ptr<View>> MakeView(const ViewOptions& options) {
  switch (options.kind) {
    case ViewKind::kRedis:
      return MakeRedisView(options);
    case ViewKind::kSqlite:
      return MakeSqliteView(options);
  }
  return Status(StatusCode::kInternal, "unknown kind of view");
}

}  // namespace

class CdcWorker::Impl {
 public:
  Status Start(const CdcOptions& options) {
    INDOUBT_RETURN_IF_ERROR(CheckOptions(options));
    std::vector<std::unique_ptr<View>> views;
    for (const ViewOptions& view : options.views) {
      INDOUBT_ASSIGN_OR_RETURN(views.emplace_back(), MakeView(view));
    }
    INDOUBT_ASSIGN_OR_RETURN(log_, OpenSqliteEventLog(options.event_log_path));
    const SlotOptions slot{options.source_dsn, options.slot, options.publication,
                           options.slot_lock_timeout};
    const TimePoint deadline = SystemClock().Now() + options.start_timeout;
    INDOUBT_RETURN_IF_ERROR(
        cdc_internal::PrepareSource(slot, options.tables, *log_, stop_, deadline));
    INDOUBT_RETURN_IF_ERROR(
        cdc_internal::CheckSlot(slot, log_->end().complete, stop_, deadline));
    for (std::unique_ptr<View>& view : views) {
      views_.push_back(std::make_unique<ViewRunner>(std::move(view), *log_, stop_));
    }
    source_ = std::make_unique<SourceRunner>(slot, *log_, stop_);
    return Status::Ok();
  }

  ~Impl() { Stop(); }

  void Stop() {
    stop_.Set();
    if (log_) log_->Interrupt();
    const std::lock_guard lock(joining_);
    if (source_) source_->Join();
    for (const auto& view : views_) view->Join();
  }

  CdcStatus status() const {
    const SourceState source = source_->state();
    CdcStatus status;
    status.source = source.source;
    const LogEnd end = log_->end();
    status.logged = end.complete;
    status.staged = end.staged;
    status.confirmed_flush = source.confirmed;
    status.source_health = source.health;
    for (const auto& view : views_) status.views.push_back(view->state());
    return status;
  }

  bool source_lost() const { return source_->state().lost; }

 private:
  StopSignal stop_;
  std::unique_ptr<EventLog> log_;
  std::vector<std::unique_ptr<ViewRunner>> views_;
  std::unique_ptr<SourceRunner> source_;
  std::mutex joining_;  // two callers of Stop may not join the same thread
};

CdcWorker::CdcWorker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CdcWorker::~CdcWorker() = default;

Result<std::unique_ptr<CdcWorker>> CdcWorker::Start(const CdcOptions& options) {
  auto impl = std::make_unique<Impl>();
  INDOUBT_RETURN_IF_ERROR(impl->Start(options));
  return std::unique_ptr<CdcWorker>(new CdcWorker(std::move(impl)));
}

CdcStatus CdcWorker::status() const { return impl_->status(); }

Status CdcWorker::health() const {
  const CdcStatus now = status();
  if (!now.source_health.ok()) return now.source_health;
  for (const ViewState& view : now.views) {
    if (!view.health.ok()) return view.health;
  }
  return Status::Ok();
}

bool CdcWorker::source_lost() const { return impl_->source_lost(); }

void CdcWorker::Stop() { impl_->Stop(); }

Result<ViewPosition> ReadViewPosition(const ViewOptions& options) {
  switch (options.kind) {
    case ViewKind::kRedis:
      return ReadRedisPosition(options);
    case ViewKind::kSqlite:
      return ReadSqlitePosition(options);
  }
  return Status(StatusCode::kInternal, "unknown kind of view");
}

Result<std::map<std::string, Lsn>> ReadPositions(const CdcOptions& options) {
  std::map<std::string, Lsn> positions;
  for (const ViewOptions& view : options.views) {
    const auto position = ReadViewPosition(view);
    if (!position) return position.error().WithContext("view " + view.name);
    positions[view.name] = position->position.lsn;
  }
  return positions;
}

Result<Lsn> ReadSourceFlushLsn(const std::string& source_dsn, TimePoint deadline) {
  const StopSignal never;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(source_dsn, false, never, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const auto rows,
                           connection->Query("SELECT pg_current_wal_flush_lsn()", deadline));
  if (rows.empty() || !rows[0][0]) {
    return Status(StatusCode::kInternal, "cdc source: it does not say how far it is");
  }
  return Lsn::Parse(*rows[0][0]);
}

Status WaitForViews(const CdcOptions& options, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(const Lsn target, ReadSourceFlushLsn(options.source_dsn, deadline));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const auto positions, ReadPositions(options));
    std::vector<std::string> behind;
    for (const auto& [name, lsn] : positions) {
      if (lsn < target) behind.push_back(fmt::format("{} is at {}", name, lsn.ToString()));
    }
    if (behind.empty()) return Status::Ok();
    if (SystemClock().Now() >= deadline) {
      return Status(StatusCode::kDeadlineExceeded,
                    fmt::format("views have not reached {} of the source: {}",
                                target.ToString(), fmt::join(behind, ", ")));
    }
    // Only the sinks know, in another process: there is nothing to be woken by.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace indoubt
