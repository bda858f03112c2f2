// The stream of a logical slot: PostgreSQL's replication protocol over libpq.
// Source: PostgreSQL 15 manual, "55.4. Streaming Replication Protocol".
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/lsn.h"
#include "cdc/pg_connection.h"
#include "cdc/source/pgoutput.h"
#include "cdc/source/slot.h"

namespace indoubt::cdc_internal {

/// Belongs to one thread.
class ReplicationStream {
 public:
  /// What came: a transaction, or the news that the source has sent everything of
  /// up to `sent` (in both cases).
  struct Message {
    bool transaction = false;
    size_t bytes = 0;  // that it came in
    Lsn sent;          // 0/0 inside of a transaction: nothing new is known
    bool reply_requested = false;
  };

  /// Starts after `from`: everything before it is durable in the log. First looks at the
  /// slot, and fails as CheckSlot does; kLocked while another process streams from it.
  /// `shapes`, the log's, must outlive it.
  static Result<std::unique_ptr<ReplicationStream>> Start(const SlotOptions& options, Lsn from,
                                                          ShapeTable& shapes,
                                                          const StopSignal& stop,
                                                          TimePoint deadline);

  /// The next message of interest, or an empty one while a huge transaction is still
  /// coming in; none at `deadline`, or when it would have to be waited for while the
  /// descriptor `wake` is readable (-1: there is none). kAborted when stopped. After
  /// another error the stream is over: start a new one.
  /// A transaction goes to `into`, whose memory is used again: see PgOutputDecoder::Decode.
  Result<std::optional<Message>> Read(TimePoint deadline, int wake, events::Transaction& into);

  /// How many messages of the protocol have come.
  uint64_t messages() const { return messages_; }

  /// Tells the server that all up to `durable` may be forgotten; it then also keeps
  /// the connection alive. With `ask` the server answers with how far it is.
  Status Confirm(Lsn durable, bool ask, TimePoint deadline);

 private:
  ReplicationStream(std::unique_ptr<PgConnection> connection, ShapeTable& shapes)
      : connection_(std::move(connection)), decoder_(shapes) {}
  std::unique_ptr<PgConnection> connection_;
  PgOutputDecoder decoder_;
  uint64_t messages_ = 0;
  size_t bytes_ = 0;  // of messages since the last transaction
};

}  // namespace indoubt::cdc_internal
