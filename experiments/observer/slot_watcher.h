// How much of the source's WAL the derived path's slot holds, and, where it is asked for, how
// long somebody waits who makes a slot of his own. Writes slot.ndjson and slot_waits.ndjson.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/ndjson.h"
#include "experiments/observer/watch_thread.h"
#include "experiments/stores/store_clients.h"

namespace indoubt {

/// Start and Stop from one thread; the rest from any.
class SlotWatcher {
 public:
  /// Connects to the source of `slot`. `waits`: null when nobody is to make slots. A slot that
  /// is made makes the server write the record by which slots let go of WAL, so that they do
  /// not have to wait for its own, every 15 s. The files must outlive this.
  static Result<std::unique_ptr<SlotWatcher>> Start(const std::string& dsn,
                                                    const std::string& slot, NdjsonFile& held,
                                                    NdjsonFile* waits);
  ~SlotWatcher() { Stop(); }
  /// Gives up what still waits and records it so. Idempotent.
  void Stop();
  /// Of the source's log what the slot had not confirmed at the last look; none before it.
  /// From any thread.
  std::optional<int64_t> unconfirmed_bytes() const;
  std::vector<std::string> Troubles() const;

 private:
  SlotWatcher(std::string slot, NdjsonFile& held, NdjsonFile* waits);
  Status Look();
  Status MakeSlot();

  const std::string slot_;
  NdjsonFile& held_;
  NdjsonFile* const waits_;
  std::unique_ptr<PostgresClient> reader_, maker_;
  bool stopped_ = false;
  std::atomic<int64_t> unconfirmed_{-1};  // below 0: not looked yet
  WatchThread look_, make_;
};

}  // namespace indoubt
