// Whether the publication still is what the worker found at its start: somebody may alter it
// while the worker runs, and the stream does not tell. Private to this room.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "cdc/pg_connection.h"
#include "cdc/source/publication.h"
#include "cdc/source/slot.h"

namespace indoubt::cdc_internal {

/// Looks every few seconds, on a thread and a connection of its own. Tables that are renamed or
/// dropped, and made anew under their names, are no alteration: they are the views' concern.
/// Thread-safe.
class PublicationWatch {
 public:
  /// `tables`: what PrepareSource has found, `marks`: as they were when the log was begun.
  /// `stop` must outlive it and be set before it goes.
  PublicationWatch(SlotOptions options, PublishedTables tables, events::PublicationMarks marks,
                   const StopSignal& stop);
  ~PublicationWatch();
  /// Ok, or kRefused once the publication was found altered, for good. While the source cannot
  /// be asked it stays as it is.
  Status status() const;

 private:
  void Run();
  /// How it was altered, if it was; an error when nobody could look.
  Result<std::optional<Status>> Look();

  const SlotOptions options_;
  const PublishedTables tables_;
  const events::PublicationMarks marks_;
  const StopSignal& stop_;
  std::unique_ptr<PgConnection> connection_;
  mutable std::mutex mutex_;
  Status status_;       // guarded by mutex_
  std::thread thread_;  // last
};

}  // namespace indoubt::cdc_internal
