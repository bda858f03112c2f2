// A look at an event log from outside of its worker: beside one that runs, or without.
// Takes no lock and changes nothing. Private to this room.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cdc/event_log.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

struct OldestEvent {
  EventPosition position;
  int64_t commit_micros = 0;  // since 2000-01-01 UTC, the source's clock; 0: not known
};

/// One state of the log's file. Belongs to one thread; short-lived, for it holds the
/// file's clean-up back.
class LogGlance {
 public:
  /// kNotFound when there is no log yet, kRefused when it is of a version that this
  /// program does not read.
  static Result<LogGlance> Open(const std::string& path);

  const std::string& id() const { return id_; }
  EventLogState state() const { return state_; }
  /// That the log was begun with; empty in kNew.
  const std::string& slot() const { return slot_; }
  const LogEnd& end() const { return end_; }
  /// What is known of how the log was begun, and of its source; empty in a log of before that
  /// was kept.
  Result<events::SnapshotProgress> Progress();
  /// As EventLog::HasOutcome.
  Result<bool> HasOutcome(Lsn lsn);
  /// Whether `id` was this log's before a slot was lost.
  Result<bool> WasId(const std::string& id);

  const LogBegin& begin() const { return begin_; }

  /// The first event that is in the log; none in an empty one.
  Result<std::optional<OldestEvent>> Oldest();
  /// What the file takes, its journal and what is free in it left out.
  Result<uint64_t> UsedBytes();
  /// How many events are, or were, at or before `position`: the sequence number of the last.
  Result<uint64_t> EventsUpTo(EventPosition position);
  /// When the source committed the first event after `position`, in microseconds since
  /// 2000-01-01 UTC of the source's clock; none when the log has no such event.
  Result<std::optional<int64_t>> CommitTimeAfter(EventPosition position);

 private:
  explicit LogGlance(std::unique_ptr<SqliteDatabase> db) : db_(std::move(db)) {}
  Status Read();

  std::unique_ptr<SqliteDatabase> db_;
  std::string id_;
  EventLogState state_ = EventLogState::kNew;
  std::string slot_;
  LogEnd end_;
  LogBegin begin_;
};

}  // namespace indoubt::cdc_internal
