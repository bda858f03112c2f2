#include "cdc/rebuild/rebuild.h"

#include <fmt/format.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "cdc/log/log_hold.h"
#include "cdc/rebuild/rebuild_feed.h"
#include "cdc/rebuild/rebuild_sink.h"
#include "cdc/table_name.h"
#include "cdc/views/make_view.h"
#include "cdc/views/redis_connection.h"

namespace indoubt {
namespace {

using cdc_internal::LogFeed;
using cdc_internal::LogHold;
using cdc_internal::MakeView;
using cdc_internal::RebuildSink;
using cdc_internal::SlotOptions;
using cdc_internal::SourceAtLsn;
using cdc_internal::StopSignal;

Result<std::unique_ptr<RebuildSink>> MakeSink(const CdcOptions& options,
                                              const ViewOptions& view,
                                              const std::string& scratch, Duration patience) {
  if (view.kind != ViewKind::kRedis) {
    return cdc_internal::MakeSqliteRebuildSink(view, scratch);
  }
  INDOUBT_ASSIGN_OR_RETURN(auto tables, BareTableNames(options.tables));
  return cdc_internal::MakeRedisRebuildSink(view, std::move(tables), patience);
}

/// The worker that must be there; none when one runs already.
Result<std::unique_ptr<CdcWorker>> EnsureWorker(const CdcOptions& options) {
  auto worker = CdcWorker::Start(options);
  if (worker) return std::move(*worker);
  if (worker.error().code() != StatusCode::kLocked) return worker.error();
  return std::unique_ptr<CdcWorker>();
}

class Rebuild {
 public:
  Rebuild(const CdcOptions& options, ViewOptions view, Duration patience)
      : options_(options),
        view_(std::move(view)),
        patience_(patience),
        scratch_(options.event_log_path + ".rebuild-" + view_.name),
        slot_{options.source_dsn, SlotName(), options.publication, options.slot_lock_timeout} {}

  Result<RebuildReport> Run() {
    INDOUBT_ASSIGN_OR_RETURN(const auto lock, PosixFileSystem().Lock(scratch_ + ".lock"));
    INDOUBT_ASSIGN_OR_RETURN(sink_, MakeSink(options_, view_, scratch_, patience_));
    // Before a worker is there, which would make a log that is missing or not complete, and a
    // slot, and copy all tables.
    INDOUBT_ASSIGN_OR_RETURN(log_, LogFeed::Open(options_.event_log_path));
    INDOUBT_ASSIGN_OR_RETURN(const auto hold, LogHold::Share(options_.event_log_path));
    INDOUBT_ASSIGN_OR_RETURN(const auto worker, EnsureWorker(options_));
    INDOUBT_RETURN_IF_ERROR(sink_->Prepare());
    const Status ended = DeriveProveAndSwap();
    version_.reset();
    const Status removed = sink_->Remove();
    INDOUBT_RETURN_IF_ERROR(ended);
    INDOUBT_RETURN_IF_ERROR(removed);
    return report_;
  }

 private:
  std::string SlotName() const {
    return fmt::format("{}_rebuild", options_.slot.substr(0, 40));
  }

  Status DeriveProveAndSwap() {
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_rebuild_begun", view_.name));
    INDOUBT_RETURN_IF_ERROR(Derive());
    INDOUBT_RETURN_IF_ERROR(Prove());
    return report_.differing.empty() ? Swap() : Status::Ok();
  }

  Status OpenVersion() {
    INDOUBT_ASSIGN_OR_RETURN(version_, MakeView(sink_->NewVersion()));
    return version_->Open().status();
  }

  Status Derive() {
    INDOUBT_RETURN_IF_ERROR(OpenVersion());
    INDOUBT_ASSIGN_OR_RETURN(const bool replays, log_->CanBeReplayed(view_.derivation.upserts));
    INDOUBT_ASSIGN_OR_RETURN(const bool shapes_changed, log_->ShapesChanged());
    report_.from_snapshot = !replays || shapes_changed;
    if (report_.from_snapshot) return DeriveFromSnapshot();
    const Status derived = log_->FollowToEnd(*version_, at_);
    const bool refused = derived.code() == StatusCode::kInvalidArgument ||
                         derived.code() == StatusCode::kUnsupported;
    if (!refused) return derived;
    // By something in its past (a TRUNCATE, say) that need not be gone through again.
    version_.reset();
    INDOUBT_RETURN_IF_ERROR(sink_->Prepare());
    INDOUBT_RETURN_IF_ERROR(OpenVersion());
    report_.from_snapshot = true;
    return DeriveFromSnapshot();
  }

  Status DeriveFromSnapshot() {
    INDOUBT_ASSIGN_OR_RETURN(const auto source,
                             SourceAtLsn::Open(slot_, options_.tables, stop_, patience_));
    INDOUBT_RETURN_IF_ERROR(source->DeriveInto(*version_, log_->log_id()).status());
    at_ = {source->lsn(), 0};
    // So that the log has all that follows behind it.
    return log_->FollowTo(*version_, at_, at_, patience_);
  }

  /// Brings the new version to an LSN of the source, and derives the proof from its rows there.
  Status DeriveProof() {
    INDOUBT_ASSIGN_OR_RETURN(const auto source,
                             SourceAtLsn::Open(slot_, options_.tables, stop_, patience_));
    report_.proved_at = source->lsn();
    INDOUBT_RETURN_IF_ERROR(
        log_->FollowTo(*version_, at_, EventPosition{source->lsn(), 0}, patience_));
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_rebuild_derived", view_.name));
    INDOUBT_ASSIGN_OR_RETURN(const auto proof, MakeView(sink_->Proof()));
    INDOUBT_RETURN_IF_ERROR(proof->Open().status());
    INDOUBT_ASSIGN_OR_RETURN(report_.rows, source->DeriveInto(*proof, log_->log_id()));
    return Status::Ok();
  }

  Status Prove() {
    INDOUBT_RETURN_IF_ERROR(DeriveProof());  // the source is let go before what may take long
    INDOUBT_ASSIGN_OR_RETURN(auto compared, sink_->Compare());
    report_.entries = compared.entries;
    report_.differing = std::move(compared.differing);
    if (view_.derivation.sqlite_mirrors && report_.rows > report_.entries) {
      report_.merged = report_.rows - report_.entries;
    }
    if (!report_.differing.empty()) return Status::Ok();
    // What follows is proved by nobody.
    log_->Guard(view_.derivation.needs, view_.schema_rule);
    return HitFailPoint("cdc_rebuild_proved", view_.name);
  }

  Status Swap() {
    INDOUBT_RETURN_IF_ERROR(log_->FollowToEnd(*version_, at_));  // so that little is left
    const auto catch_up = [this](EventPosition at_least) -> Result<ViewPosition> {
      if (at_ < at_least) INDOUBT_RETURN_IF_ERROR(log_->FollowToEnd(*version_, at_));
      if (at_ < at_least) {
        return Status(StatusCode::kCorrupt,
                      fmt::format("the view is at {}, beyond the event log's end {}",
                                  at_least.lsn.ToString(), at_.lsn.ToString()));
      }
      return ViewPosition{log_->log_id(), at_};
    };
    INDOUBT_ASSIGN_OR_RETURN(const ViewPosition swapped, sink_->Swap(log_->log_id(), catch_up));
    report_.swapped_at = swapped.position;
    return HitFailPoint("cdc_rebuild_swap", view_.name);
  }

  const CdcOptions& options_;
  const ViewOptions view_;
  const Duration patience_;
  const std::string scratch_;
  const SlotOptions slot_;
  StopSignal stop_;  // never set: each wait has a deadline
  std::unique_ptr<RebuildSink> sink_;
  std::unique_ptr<LogFeed> log_;
  std::unique_ptr<View> version_;  // the new one,
  EventPosition at_;               // and where it is
  RebuildReport report_;
};

}  // namespace

Result<RebuildReport> RebuildView(const CdcOptions& options, const std::string& name,
                                  Duration patience) {
  INDOUBT_ASSIGN_OR_RETURN(ViewOptions view, FindView(options, name));
  const cdc_internal::SigpipeBlocked no_signal;
  auto report = Rebuild(options, std::move(view), patience).Run();
  if (!report) return report.error().WithContext("rebuilding view " + name);
  return report;
}

}  // namespace indoubt
