// The one who writes the event log's file; its ideas have a .cc file each:
//
//   sqlite_event_log.cc           opens the file, and says how far it goes
//   sqlite_event_log_snapshot.cc  takes the snapshot that the log begins with
//   sqlite_event_log_appends.cc   appends what the stream brings
//   sqlite_event_log_removal.cc   removes what is old, compacts, gives space back
//
// Private to this room.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "cdc/log/log_compaction.h"
#include "cdc/log/schema_history.h"
#include "cdc/log/sqlite_event_log_file.h"
#include "cdc/log/staged.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

class SqliteEventLog : public EventLog {
 public:
  SqliteEventLog(std::unique_ptr<FileLock> lock, std::unique_ptr<SqliteDatabase> db)
      : lock_(std::move(lock)),
        db_(std::move(db)),
        staged_(*db_),
        history_(*db_, tail_.shapes) {}

  Status Load();

  const std::string& id() const override { return id_; }
  bool WasId(const std::string& id) const override { return former_ids_.contains(id); }
  EventLogState state() const override { return state_; }
  const std::string& slot() const override { return slot_; }
  ShapeTable& shapes() override { return tail_.shapes; }

  Status Restart() override;
  Status BeginSnapshot(const std::string& slot) override;
  Status AppendSnapshotChunk(const events::Transaction& chunk,
                             const events::SnapshotProgress& progress) override;
  Status SaveSnapshotProgress(const events::SnapshotProgress& progress) override;
  Result<std::optional<events::SnapshotProgress>> ReadSnapshotProgress() override;
  Status AmendSnapshotProgress(const events::SnapshotProgress& progress) override;
  Status FinishSnapshot(const events::SnapshotProgress& progress) override;
  Status Append(std::vector<HeldTransaction> batch) override;
  std::vector<HeldTransaction> Reclaim() override;
  Status DropParts() override;
  Status Advance(Lsn lsn) override;
  Result<bool> HasOutcome(Lsn lsn) override;

  LogBegin begin() const override { return tail_.Begin(); }
  Result<bool> RemoveOldest(const Removal& removal) override;
  Result<bool> CompactOldest(EventPosition up_to) override;
  Result<bool> GiveSpaceBack() override;

  LogEnd end() const override { return tail_.Get(); }
  LogEnd WaitBeyond(EventPosition seen, TimePoint deadline) const override;
  void Interrupt() override;
  Result<std::unique_ptr<EventLogReader>> NewReader() const override;

 private:
  /// Adds `event` to the open transaction, to `next` and to what is published with it.
  Status Take(HeldTransaction& held, LogEnd& next);
  Status Insert(uint64_t sequence, EventPosition position, const events::Transaction& event);
  /// A part: unless its transaction is known, it is stored where nobody reads it yet.
  Status TakePart(const events::Transaction& part, const LogEnd& next);
  Status BeginCompaction(EventPosition up_to);
  Result<bool> CompactSome();
  Status RemoveParts();
  Status KeepProgress(const events::SnapshotProgress& progress);
  Status CommitEvents(SqliteTransaction& transaction);
  Status SetComplete(Lsn lsn);
  /// Whether what is written reaches the one who opens the log next.
  Status CheckPlace() const;
  Status ReadFormerIds();
  /// The last event that the file holds, and how far it is complete.
  Result<LogEnd> ReadEnd();
  void Publish(const LogEnd& end);
  void KeepRecent(EventPosition before);

  std::unique_ptr<FileLock> lock_;
  mutable std::mutex
      writing_;  // while streaming: a step of the removal, or one of the appender's
  std::unique_ptr<SqliteDatabase> db_;  // guarded by it, as is all that only writers need
  StagedTransactions staged_;
  std::string id_;
  std::set<std::string> former_ids_;
  EventLogState state_ = EventLogState::kNew;
  std::string slot_;
  std::string payload_;  // scratch, for its memory
  uint64_t parts_ = 0;   // behind the last event, until their transaction's last comes
  std::vector<LoggedEvent> taken_;  // by the Append under way,
  size_t taken_bytes_ = 0;          // and their payloads' bytes
  bool took_parts_ = false;         // it did, or ended a transaction that has some
  LogTail tail_;
  SchemaHistory history_;                      // guarded by writing_
  std::unique_ptr<LogCompaction> compaction_;  // the pass under way; of CompactOldest's caller
};

}  // namespace indoubt::cdc_internal
