// Transactions between their PREPARE and their end, in the event log's file. The source
// sends a prepared transaction's changes once, and may forget them as soon as they were
// confirmed: afterwards only the word comes how it ended. Private to this room.
//
//   staged(gid PRIMARY KEY, lsn, crc, payload)   lsn: the end of the PREPARE
//   outcomes(lsn PRIMARY KEY, gid, committed)    lsn: the end of what ended it
#pragma once

#include <optional>

#include "base/status.h"
#include "cdc/lsn.h"
#include "cdc/sqlite_handle.h"
#include "proto/events.pb.h"

namespace indoubt::cdc_internal {

/// The tables, made if absent.
extern const char kStagedSchema[];

/// Whether a transaction in two phases ended at `lsn`, in the log that `db` is open on.
Result<bool> HasOutcome(SqliteDatabase& db, Lsn lsn);

/// Works inside of the caller's SQLite transaction. Belongs to one thread.
class StagedTransactions {
 public:
  /// `db` must outlive it.
  explicit StagedTransactions(SqliteDatabase& db) : db_(db) {}

  /// Keeps a PREPARED transaction. Again is as once: a source may send it again.
  Status Stage(const events::Transaction& prepared);
  /// The staged transaction as the event that `end` (COMMIT_PREPARED) makes of it.
  /// Gone from the stage afterwards. kCorrupt when it is not there, or is damaged.
  Result<events::Transaction> Commit(const events::Transaction& end);
  /// Discards what `end` (ROLLBACK_PREPARED) ended. Nothing may be there: the source
  /// also tells of one whose PREPARE it never sent.
  Status RollBack(const events::Transaction& end);
  /// Discards what the log has as ended already.
  Status DropEnded(const events::Transaction& end);
  Result<uint64_t> Count();

 private:
  Status Remember(const events::Transaction& end, bool committed);
  Status Drop(const std::string& gid, uint64_t before);
  SqliteDatabase& db_;
};

}  // namespace indoubt::cdc_internal
