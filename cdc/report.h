// How late the derived path is: source, slot, event log and views, looked at from outside
// of the worker, so the same whether it runs or not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/lsn.h"
#include "cdc/worker.h"

namespace indoubt {

/// The replication slot, as the source shows it.
struct SlotReport {
  bool active = false;                     // somebody streams from it
  std::string wal_status;                  // "reserved", "extended", "unreserved" or "lost"
  Lsn restart;                             // from here on the source keeps its WAL for the slot
  Lsn confirmed;                           // up to here it may forget what it has sent
  uint64_t retained_bytes = 0;             // from `restart` to the end of the WAL
  std::optional<uint64_t> safe_wal_bytes;  // until it is lost; none: there is no limit
};

/// Source and slot. What could not be looked at is none, and `health` says why.
struct SourceReport {
  /// Ok; kUnavailable or kDeadlineExceeded: the source cannot be asked; kNotFound: the slot
  /// of a log that was begun is gone; kCorrupt: it was invalidated, or moved beyond the log's
  /// end (both name the gap); kRefused: it is another kind of slot, or the publication was
  /// altered since the log was begun.
  Status health;
  std::optional<Lsn> flushed;  // the end of its durable WAL
  std::optional<SlotReport> slot;
  /// What a person should know although nothing is broken: nobody follows the log's slot.
  /// Empty: nothing.
  std::string warning;
};

struct LogReport {
  Status health;                // Ok, or why it cannot be read (kNotFound: not made yet)
  std::optional<Lsn> complete;  // everything of the source up to here is in it
  uint64_t events = 0;          // that came into it since it was made
  uint64_t staged = 0;          // transactions that are prepared and have not ended
  std::optional<Lsn> from;  // what the source committed up to here was removed; 0/0: nothing
  std::optional<Lsn> compacted;  // up to here it is compacted by key; 0/0: nothing is
  uint64_t bytes = 0;            // that its file takes, without its journal and what is free
  std::optional<uint64_t> free_bytes;  // that are left on its disk
  /// The age of the oldest event in it, by this machine's clock; none where that is not known.
  std::optional<double> oldest_seconds;
  /// How much older, and larger, than retention allows it is; 0 within. None: no such limit.
  std::optional<double> overdue_seconds;
  std::optional<uint64_t> excess_bytes;
  /// Who still needs what is overdue or in excess: views by their names, and "a rebuild".
  std::vector<std::string> held_by;
};

struct ViewReport {
  std::string name;
  Status health;  // Ok, or why its sink cannot be asked, or why it is stopped
  std::optional<EventPosition> position;
  std::string log_id;  // of the event log that it was derived from; empty: none yet
  /// From its position to the end of the source's durable WAL, other tables' included.
  std::optional<uint64_t> lag_bytes;
  /// The age of the oldest commit that it does not show, by the source's clock; 0 when it
  /// has reached the source's end. None where that is not known: the commit is not in the
  /// event log yet, or part of the snapshot.
  std::optional<double> lag_seconds;
  std::optional<uint64_t> applied;  // events of the log that it shows
  std::optional<uint64_t> parked;   // events that it could not take and has set aside
  std::optional<uint64_t> backlog;  // events of the log that it does not show yet
  /// Up to here it needs the event log no more: its position, or what it has set aside.
  std::optional<EventPosition> passed;
  bool holds_log = false;  // retention would have removed what it still needs
};

struct CdcReport {
  SourceReport source;
  LogReport log;
  std::vector<ViewReport> views;
  TimePoint taken_at;  // by this process' clock

  /// Ok, or the first thing that is wrong, named.
  Status health() const;
};

/// Looks at all of it; what cannot be reached by `deadline` (the source: a second after the
/// sinks have been asked, at the earliest), or within the few seconds that a sink is given, is
/// said in its part. Views first and source last: a lag is never
/// understated. Thread-safe.
CdcReport ReadCdcReport(const CdcOptions& options, TimePoint deadline);

/// Events a second that went by between two reports; none when one of them does not know.
std::optional<double> RatePerSecond(std::optional<uint64_t> before, TimePoint before_at,
                                    std::optional<uint64_t> after, TimePoint after_at);

/// `report` in Prometheus' text format 0.0.4 (docs/cdc.md names the metrics). What is not
/// known is left out.
std::string ToPrometheus(const CdcReport& report);

}  // namespace indoubt
