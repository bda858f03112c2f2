#include "cdc/report.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cdc/log/log_glance.h"
#include "cdc/log/log_hold.h"
#include "cdc/pg_connection.h"
#include "cdc/source/publication.h"
#include "cdc/source/slot.h"
#include "cdc/source/source_clock.h"
#include "cdc/source/source_history.h"
#include "cdc/view.h"
#include "cdc/views/redis_server.h"
#include "cdc/views/redis_view.h"
#include "cdc/views/stopped_view.h"

namespace indoubt {
namespace {

using cdc_internal::CheckLogsHistory;
using cdc_internal::CheckLogsPublication;
using cdc_internal::CheckSlot;
using cdc_internal::kEpochMicros;
using cdc_internal::LogGlance;
using cdc_internal::LogHold;
using cdc_internal::MicrosSince2000;
using cdc_internal::PgConnection;
using cdc_internal::PgRows;
using cdc_internal::ReadSlot;
using cdc_internal::SlotFacts;
using cdc_internal::SlotOptions;
using cdc_internal::StopSignal;
using cdc_internal::WhyStopped;

// As a worker's start would. The log is looked at after the slot: a worker moves both.
Status JudgeSlot(PgConnection& connection, const CdcOptions& options, const SlotFacts& slot,
                 TimePoint deadline) {
  auto log = LogGlance::Open(options.event_log_path);
  if (log && log->state() == EventLogState::kStreaming) {
    INDOUBT_RETURN_IF_ERROR(CheckSlot(slot, log->end().complete));
    const SlotOptions asked{options.source_dsn, options.slot, options.publication};
    INDOUBT_RETURN_IF_ERROR(CheckLogsHistory(asked, slot, *log, deadline));
    INDOUBT_ASSIGN_OR_RETURN(const events::SnapshotProgress begun, log->Progress());
    return CheckLogsPublication(connection, options.publication, begun.publication(), deadline);
  }
  if (!slot.invalidated) return Status::Ok();  // the first start makes both
  return Status(StatusCode::kCorrupt,
                fmt::format("replication slot \"{}\" was invalidated by the server "
                            "(max_slot_wal_keep_size)",
                            options.slot));
}

// Sets `clock` to the source's own, microseconds since 2000. Returns what a worker's start
// would say of the slot and the publication.
Status AskSource(const CdcOptions& options, TimePoint deadline, SourceReport& report,
                 int64_t& clock) {
  const StopSignal never;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.source_dsn, false, never, deadline));
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection->Query(
          fmt::format("SELECT pg_current_wal_flush_lsn(), "
                      "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint - {}, "
                      "slot_name, active, coalesce(wal_status, 'lost'), "
                      "coalesce(restart_lsn, '0/0'), coalesce(confirmed_flush_lsn, '0/0'), "
                      "safe_wal_size FROM (SELECT 1) AS one LEFT JOIN pg_replication_slots "
                      "ON slot_name = {}",
                      kEpochMicros, connection->Literal(options.slot)),
          deadline));
  if (rows.size() != 1 || !rows[0][0] || !rows[0][1]) {
    return Status(StatusCode::kInternal, "cdc source: it does not say how far it is");
  }
  const auto& row = rows[0];
  INDOUBT_ASSIGN_OR_RETURN(report.flushed, Lsn::Parse(*row[0]));
  clock = std::stoll(*row[1]);
  if (row[2]) {
    SlotReport slot;
    slot.active = row[3] == "t";
    slot.wal_status = row[4].value_or("");
    INDOUBT_ASSIGN_OR_RETURN(slot.restart, Lsn::Parse(row[5].value_or("")));
    INDOUBT_ASSIGN_OR_RETURN(slot.confirmed, Lsn::Parse(row[6].value_or("")));
    if (slot.restart.value != 0 && *report.flushed > slot.restart) {
      slot.retained_bytes = report.flushed->value - slot.restart.value;
    }
    if (row[7]) slot.safe_wal_bytes = std::max(std::stoll(*row[7]), 0LL);
    report.slot = slot;
  }
  INDOUBT_ASSIGN_OR_RETURN(const SlotFacts slot, ReadSlot(*connection, options.slot, deadline));
  return JudgeSlot(*connection, options, slot, deadline);
}

void LookAtLog(const std::optional<LogGlance>& glance, LogReport& report) {
  if (!glance) return;
  if (glance->state() != EventLogState::kStreaming) {
    report.health = Status(StatusCode::kUnavailable,
                           "event log: the snapshot is not complete; nothing is derived yet");
    return;
  }
  report.complete = glance->end().complete;
  report.events = glance->end().last_sequence;
  report.staged = glance->end().staged;
  report.from = glance->begin().removed.lsn;
  report.compacted = glance->begin().compacted.lsn;
}

// With less, an append may fail: SQLite's journal grows by pages.
constexpr uint64_t kRoom = uint64_t{1} << 20;

void LookAtRoom(const CdcOptions& options, LogReport& report) {
  struct statvfs disk {};
  if (statvfs(options.event_log_path.c_str(), &disk) != 0) return;
  // What is kept for root is there for a worker of root's, to whom the file belongs then.
  struct stat file {};
  const bool roots = stat(options.event_log_path.c_str(), &file) == 0 && file.st_uid == 0;
  const uint64_t blocks = roots ? disk.f_bfree : disk.f_bavail;
  report.free_bytes = blocks * disk.f_frsize;
  if (*report.free_bytes >= kRoom || !report.health.ok()) return;
  report.health =
      Status(StatusCode::kIoError,
             fmt::format(
                 "event log {}: its disk is full, {} bytes are left: nothing comes in, and the "
                 "source keeps its WAL; make room",
                 options.event_log_path, *report.free_bytes));
}

void WarnWhenNobodyFollows(const CdcOptions& options, CdcReport& report) {
  SourceReport& source = report.source;
  if (!report.log.complete || !source.health.ok() || !source.slot || source.slot->active)
    return;
  source.warning = fmt::format(
      "nobody follows slot \"{}\": no worker runs (indoubt cdc run), or it has lost the source "
      "and will connect again; the views stand still, and the source keeps its WAL",
      options.slot);
}

// What the source has to answer, whatever came before.
constexpr std::chrono::seconds kForTheSource{1};

// Beyond its limits by more than this the log is not only between two looks of its worker.
constexpr double kSlackSeconds = 2;

Status MeasureRetention(const CdcOptions& options, LogGlance& glance, CdcReport& report) {
  LogReport& log = report.log;
  const RetentionOptions& retention = options.retention;
  INDOUBT_ASSIGN_OR_RETURN(log.bytes, glance.UsedBytes());
  INDOUBT_ASSIGN_OR_RETURN(const auto oldest, glance.Oldest());
  if (oldest && oldest->commit_micros != 0) {
    const int64_t age = MicrosSince2000() - oldest->commit_micros;
    log.oldest_seconds = static_cast<double>(std::max<int64_t>(age, 0)) / 1e6;
  }
  if (retention.time) {
    const double kept = std::chrono::duration<double>(*retention.time).count();
    log.overdue_seconds = std::max(log.oldest_seconds.value_or(0) - kept, 0.0);
  }
  if (retention.bytes) log.excess_bytes = log.bytes - std::min(log.bytes, *retention.bytes);
  // The last event always stays.
  const bool some = oldest && oldest->position < glance.end().last;
  const bool beyond = some && (log.overdue_seconds.value_or(0) > kSlackSeconds ||
                               log.excess_bytes.value_or(0) > 0);
  if (!beyond) return Status::Ok();
  for (ViewReport& view : report.views) {
    const bool needs_it = !view.passed || *view.passed < oldest->position;
    view.holds_log = needs_it && retention.on_view_lag == OnViewLag::kHold;
    if (view.holds_log) log.held_by.push_back(view.name);
  }
  INDOUBT_ASSIGN_OR_RETURN(const bool shared, LogHold::IsShared(options.event_log_path));
  if (shared) log.held_by.emplace_back("a rebuild");
  return Status::Ok();
}

ViewReport LookAtView(const ViewOptions& options) {
  ViewReport report;
  report.name = options.name;
  const auto position = ReadViewPosition(options);
  if (!position) {
    report.health = position.error().WithContext("view " + options.name);
    return report;
  }
  report.position = report.passed = position->position;
  report.log_id = position->log_id;
  const auto parked = ReadParkedEvents(options);
  if (parked) report.parked = parked->size();
  if (parked && !parked->empty()) {
    report.passed = std::min(position->position, JustBefore(parked->front().position));
  }
  report.health = parked.has_value() ? Status::Ok() : parked.error();
  if (report.health.ok() && options.kind == ViewKind::kRedis) {
    report.health = ReadRedisMark(options);
    if (report.health.ok()) report.health = CheckRedisServer(options);
  }
  report.health = report.health.WithContext("view " + options.name);
  return report;
}

Status Measure(LogGlance& glance, const SourceReport& source, int64_t clock, ViewReport& view) {
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t applied, glance.EventsUpTo(*view.position));
  view.applied = applied;
  view.backlog = glance.end().last_sequence - std::min(applied, glance.end().last_sequence);
  INDOUBT_ASSIGN_OR_RETURN(const auto oldest, glance.CommitTimeAfter(*view.position));
  if (oldest) {
    view.lag_seconds = static_cast<double>(std::max<int64_t>(clock - *oldest, 0)) / 1e6;
  } else if (source.flushed && view.position->lsn >= *source.flushed) {
    view.lag_seconds = 0;
  }
  return Status::Ok();
}

// Somebody reads the slot, and its files are not where they should be: a worker that runs has
// made them, so it was they that went, or it is a reader of another configuration.
void LookForFiles(const CdcOptions& options, CdcReport& report) {
  if (!report.source.slot || !report.source.slot->active) return;
  const auto gone = [](const std::string& path) {
    return Status(StatusCode::kNotFound,
                  fmt::format("the slot is being read, and there is no file {}: removed under "
                              "the worker, which says what to do, or the reader is another "
                              "program",
                              path));
  };
  if (access(options.event_log_path.c_str(), F_OK) != 0) {
    report.log.health = gone(options.event_log_path).WithContext("event log");
    return;
  }
  if (!report.log.complete) return;  // it may be about to make them
  for (size_t i = 0; i < report.views.size(); ++i) {
    const ViewOptions& view = options.views[i];
    const bool is_file = view.kind != ViewKind::kRedis;
    if (!is_file || access(view.sink.c_str(), F_OK) == 0) continue;
    report.views[i].health = gone(view.sink).WithContext("view " + view.name);
  }
}

}  // namespace

Status CdcReport::health() const {
  if (!source.health.ok()) return source.health;
  if (!log.health.ok()) return log.health;
  for (const ViewReport& view : views) {
    if (!view.health.ok()) return view.health;
  }
  return Status::Ok();
}

CdcReport ReadCdcReport(const CdcOptions& options, TimePoint deadline) {
  CdcReport report;
  report.taken_at = SystemClock().Now();
  for (const ViewOptions& view : options.views) report.views.push_back(LookAtView(view));
  std::optional<LogGlance> glance;
  if (auto opened = LogGlance::Open(options.event_log_path)) {
    glance.emplace(std::move(*opened));
  } else {
    report.log.health = opened.error();
  }
  LookAtLog(glance, report.log);
  int64_t clock = MicrosSince2000();  // of this machine, unless the source tells its own
  // Also when a sink that hangs has taken all the time there was: it is not the source's fault.
  const TimePoint source_by = std::max(deadline, SystemClock().Now() + kForTheSource);
  report.source.health = AskSource(options, source_by, report.source, clock);
  for (size_t i = 0; i < report.views.size(); ++i) {
    ViewReport& view = report.views[i];
    if (!view.position) continue;
    if (report.source.flushed) {
      view.lag_bytes = report.source.flushed->value -
                       std::min(report.source.flushed->value, view.position->lsn.value);
    }
    if (!report.log.complete) continue;
    Status measured = Measure(*glance, report.source, clock, view);
    if (measured.ok()) {
      measured = WhyStopped(options.event_log_path, *glance, options.views[i],
                            {view.log_id, *view.position});
    }
    if (view.health.ok()) view.health = measured.WithContext("view " + view.name);
  }
  if (report.log.complete) {
    const Status measured = MeasureRetention(options, *glance, report);
    if (report.log.health.ok()) report.log.health = measured;
  }
  LookForFiles(options, report);
  LookAtRoom(options, report.log);
  WarnWhenNobodyFollows(options, report);
  return report;
}

std::optional<double> RatePerSecond(std::optional<uint64_t> before, TimePoint before_at,
                                    std::optional<uint64_t> after, TimePoint after_at) {
  const double seconds = std::chrono::duration<double>(after_at - before_at).count();
  if (!before || !after || *after < *before || seconds <= 0) return std::nullopt;
  return static_cast<double>(*after - *before) / seconds;
}

}  // namespace indoubt
