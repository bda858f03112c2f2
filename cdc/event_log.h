// The event log: the durable, ordered memory between the source and the views.
// Narrow on purpose, so that a broker can stand behind it as well as a file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/log/shape_table.h"
#include "cdc/lsn.h"
#include "proto/events.pb.h"

namespace indoubt {

/// How a two-phase transaction ended, as the source's own stream says.
struct StreamOutcome {
  enum class Kind { kCommitted, kRolledBack, kPrepared };
  std::string gid;  // as PREPARE TRANSACTION had it
  Kind kind = Kind::kPrepared;
  Lsn lsn;  // the end of the record that says so
};

/// Ordinals of the parts of large transactions are above this: what a view has taken of one
/// is no position.
inline constexpr uint64_t kFirstPartOrdinal = uint64_t{1} << 32;

/// A transaction on the way from the source through the log to the views, kept on the heap: it
/// changes hands a dozen times, and moving a protobuf message is no move of a pointer. Never
/// null but after it was moved from; then it may be assigned to or destroyed. A copy is whole.
class HeldTransaction {
 public:
  HeldTransaction() : HeldTransaction(events::Transaction()) {}
  /* implicit */ HeldTransaction(events::Transaction transaction)
      : held_(std::make_unique<events::Transaction>(std::move(transaction))) {}
  HeldTransaction(const HeldTransaction& other) : HeldTransaction(*other.held_) {}
  HeldTransaction(HeldTransaction&&) = default;
  HeldTransaction& operator=(HeldTransaction other) {
    held_ = std::move(other.held_);
    return *this;
  }

  events::Transaction& operator*() { return *held_; }
  const events::Transaction& operator*() const { return *held_; }
  events::Transaction* operator->() { return held_.get(); }
  const events::Transaction* operator->() const { return held_.get(); }

 private:
  std::unique_ptr<events::Transaction> held_;
};

/// One event: a whole committed transaction, one chunk of the snapshot, or, with an ordinal
/// above kFirstPartOrdinal, a part of a large transaction, which goes on in the next event.
struct LoggedEvent {
  EventPosition position;
  uint64_t sequence = 0;  // 1, 2, 3, ... as they came; compaction leaves gaps
  HeldTransaction transaction;
  /// What the transaction's `shapes` are numbers of; stays as long as the log, or the reader.
  const ShapeTable* shapes = nullptr;
};

/// How far the log goes.
struct LogEnd {
  EventPosition last;          // key of the last event; 0/0 when there is none
  uint64_t last_sequence = 0;  // its sequence number
  /// Everything of the source up to here is in the log; >= last.lsn. Moves without
  /// events while only other tables are written.
  Lsn complete;
  uint64_t staged = 0;  // transactions that are prepared and have not ended
  friend bool operator==(const LogEnd&, const LogEnd&) = default;
};

/// Where a log begins.
struct LogBegin {
  EventPosition removed{};        // events up to here are gone; 0/0: none is
  uint64_t removed_sequence = 0;  // of the last that is
  /// Of those up to here only what makes the last state of each row is left; 0/0: all are.
  EventPosition compacted{};
  friend bool operator==(const LogBegin&, const LogBegin&) = default;
  /// Who is here, or further, misses nothing.
  EventPosition whole_from() const { return std::max(removed, compacted); }
};

/// Which of a log's oldest events may go.
struct Removal {
  EventPosition up_to{};  // none behind it
  /// Those that the source committed before, in microseconds since 2000-01-01 UTC,
  std::optional<int64_t> committed_before{};
  /// and those without which the log still takes so many bytes. Neither: none.
  std::optional<uint64_t> above_bytes{};
};

/// What the log is at, between being made and streaming.
enum class EventLogState {
  kNew,       // nothing was asked of the source yet
  kSnapshot,  // a snapshot was begun and not finished: it goes on from its progress, or is
              // begun anew where there is none, or nobody can: another table, a lost slot
  kStreaming,
};

/// Reads events in order. Belongs to one thread, and must go before its log.
class EventLogReader {
 public:
  virtual ~EventLogReader() = default;
  /// Events after `position` in order: at most `max_events`, and no more once
  /// `max_bytes` were read (one always comes), or Recent goes on. Empty at the end only.
  /// kNotFound when events after `position` were removed from the log.
  virtual Result<std::vector<LoggedEvent>> Read(EventPosition position, size_t max_events,
                                                size_t max_bytes) = 0;
  /// The shape that the source table `oid` had in the last event before `position` that
  /// has it; none when there is no such event.
  virtual Result<std::optional<events::Relation>> ShapeBefore(uint32_t oid,
                                                              EventPosition position) = 0;
  /// Takes events back whose memory the next ones may use.
  virtual void Recycle(std::vector<LoggedEvent> events) = 0;
  /// The events that follow on `position`, if they were appended a short while ago and are
  /// still in memory: whole transactions, shared by all readers. Null when they are not, and
  /// must be Read.
  virtual std::shared_ptr<const std::vector<LoggedEvent>> Recent(EventPosition position) = 0;
  /// The sequence number of the last event at or before `position`; 0 if none.
  virtual Result<uint64_t> SequenceAt(EventPosition position) = 0;
};

/// One appender thread; everything else is thread-safe, also beside it.
class EventLog {
 public:
  virtual ~EventLog() = default;

  /// The random identity made with the log. Views keep it beside their position,
  /// so that a position of another log is never mistaken for one of this.
  virtual const std::string& id() const = 0;
  /// Whether `id` was this log's before a Restart.
  virtual bool WasId(const std::string& id) const = 0;
  virtual EventLogState state() const = 0;
  /// The slot that the log was begun with; empty in kNew.
  virtual const std::string& slot() const = 0;
  /// By whose numbers an appended transaction may name its shapes in the place of having them,
  /// and readers' events do.
  virtual ShapeTable& shapes() = 0;

  /// The slot is lost, and with it changes that the log will never get: kStreaming ->
  /// kSnapshot, durably, under a new id and without events. Before readers are made.
  virtual Status Restart() = 0;

  /// kNew or kSnapshot -> kSnapshot, durably; discards what an unfinished snapshot
  /// had left. Events of a snapshot are not readable before FinishSnapshot.
  virtual Status BeginSnapshot(const std::string& slot) = 0;
  /// Appends the chunk with ordinal progress.next_ordinal - 1 at progress.lsn, and keeps
  /// `progress`, durably, both or none.
  virtual Status AppendSnapshotChunk(const events::Transaction& chunk,
                                     const events::SnapshotProgress& progress) = 0;
  /// Keeps `progress` and no chunk from its next_ordinal on.
  virtual Status SaveSnapshotProgress(const events::SnapshotProgress& progress) = 0;
  /// What was kept last; none when nothing was since BeginSnapshot.
  virtual Result<std::optional<events::SnapshotProgress>> ReadSnapshotProgress() = 0;
  /// In kStreaming: keeps `progress` in the place of what was kept, durably. Not beside an
  /// Append.
  virtual Status AmendSnapshotProgress(const events::SnapshotProgress& progress) = 0;
  /// kSnapshot -> kStreaming, durably, and keeps `progress`: the snapshot is complete.
  virtual Status FinishSnapshot(const events::SnapshotProgress& progress) = 0;

  /// Appends whole transactions in the stream's order, durable when Ok, all or none.
  /// Those the log has already (end LSN <= complete) are skipped, so that a source may
  /// send again. A PREPARED one is staged beside the events; its COMMIT_PREPARED makes it
  /// the event of that LSN, its ROLLBACK_PREPARED discards it. kCorrupt for a
  /// COMMIT_PREPARED whose PREPARED never came: changes are missing.
  /// The parts of a large transaction are kept, and become readable with its last.
  virtual Status Append(std::vector<HeldTransaction> batch) = 0;
  /// Transactions that Append was given and no reader holds any more: their memory may serve
  /// for others. Thread-safe.
  virtual std::vector<HeldTransaction> Reclaim() = 0;
  /// Removes parts whose last has not come: the source sends them again, from the first.
  virtual Status DropParts() = 0;
  /// Everything of the source up to `lsn` is in the log, durably. Never goes back.
  virtual Status Advance(Lsn lsn) = 0;

  /// Whether a transaction in two phases ended at `lsn`, as the stream has said. Not beside an
  /// Append.
  virtual Result<bool> HasOutcome(Lsn lsn) = 0;

  virtual LogBegin begin() const = 0;
  /// Removes some of the oldest events that `removal` lets go, and what the stream said of
  /// two-phase transactions up to there, in one durable step of a few milliseconds, which an
  /// Append waits for. The log's last event always stays. Whether there may be more to remove.
  virtual Result<bool> RemoveOldest(const Removal& removal) = 0;
  /// Compacts the log by key up to `up_to` at most: of its events up to there, those changes go
  /// that the last state of each row does not depend on, so that a replay of the whole log ends
  /// as before, and goes through states that never were. Like RemoveOldest one short step of
  /// it, and one caller at a time; a pass begins once as much has come as the last one left.
  virtual Result<bool> CompactOldest(EventPosition up_to) = 0;
  /// Where the log offers it, gives some of the space of removed events back to the file
  /// system, in a step as short, as long as that is more than half of what it takes. Whether
  /// there is more to give.
  virtual Result<bool> GiveSpaceBack() = 0;

  virtual LogEnd end() const = 0;
  /// Waits until the log has an event after `seen` or until `deadline`; wakes
  /// early for Interrupt. Returns the end.
  virtual LogEnd WaitBeyond(EventPosition seen, TimePoint deadline) const = 0;
  /// Makes every present and later WaitBeyond return at once.
  virtual void Interrupt() = 0;

  virtual Result<std::unique_ptr<EventLogReader>> NewReader() const = 0;
};

}  // namespace indoubt
