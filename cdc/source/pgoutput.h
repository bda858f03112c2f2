// The decoder of PostgreSQL's pgoutput messages: bytes in, whole transactions out.
// Source: PostgreSQL 15 manual, "55.9. Logical Replication Message Formats".
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "base/status.h"
#include "cdc/log/shape_table.h"
#include "cdc/lsn.h"
#include "proto/events.pb.h"

namespace indoubt {

/// Understands protocol versions 1 to 3 as long as streaming of running transactions was
/// not asked for. Without two-phase decoding a prepared transaction arrives at its COMMIT
/// PREPARED like any other. With it, it arrives whole at its PREPARE (phase PREPARED), and
/// later, alone, how it ended. Pure: no I/O. Thread-compatible.
class PgOutputDecoder {
 public:
  /// A transaction with more row data than this comes in parts, so that memory is bounded. Each
  /// change counts as what it takes in memory beside its rows, too. One that changes a table's
  /// shape between two changes of it comes in parts, too: each part has one shape a table.
  static constexpr size_t kPartBytes = size_t{1} << 20;
  /// Bound on a prepared transaction's row data: what may be discarded comes whole.
  static constexpr size_t kMaxPreparedBytes = size_t{256} << 20;

  /// `shapes` must outlive it: by its numbers transactions name the shapes of their tables.
  explicit PgOutputDecoder(ShapeTable& shapes) : shapes_(shapes) {}

  /// Takes the next message. True when `out` holds a transaction: when this was its commit or
  /// its prepare, one without changes when a prepared one has ended, and a part (with its
  /// number) when a large one has gathered enough. What `out` held before is gone then, and its
  /// memory serves a later transaction, or most of the time would go to the allocator.
  /// kCorrupt for bytes that are no such message or come out of order,
  /// kUnsupported for messages that belong to options not asked for or for a
  /// transaction above the bound. After an error the decoder is of no more use:
  /// make a new one and start the stream again.
  Result<bool> Decode(std::string_view message, events::Transaction& out);

  /// Whether a transaction has begun and not ended.
  bool in_transaction() const { return is_open_; }

 private:
  class Reader;
  /// Of one of the messages that give a transaction: C, P, K or r.
  Status End(char message, Reader& reader, events::Transaction& out);
  Status Begin(Reader& reader);
  Status Commit(Reader& reader, events::Transaction& out);
  Status BeginPrepare(Reader& reader);
  Status Prepare(Reader& reader, events::Transaction& out);
  Status FinishPrepared(Reader& reader, events::Transaction::Phase how,
                        events::Transaction& out);
  /// An empty transaction is open.
  void Open();
  Status Relation(Reader& reader);
  Status Insert(Reader& reader);
  Status Update(Reader& reader);
  Status Delete(Reader& reader);
  Status Truncate(Reader& reader);
  /// The open transaction's new change of a known relation.
  Result<events::Change*> NewChange(uint32_t relation_oid, events::Change::Kind kind);
  /// Of the relation that the last NewChange was of.
  Status ReadRow(Reader& reader, std::string* tuple);
  /// Whether the open transaction is within the bound on prepared ones.
  Status CheckPrepared() const;
  /// Gives the open transaction so far, if it has become large; it goes on without.
  bool TakePart(events::Transaction& out);

  struct Known {
    uint64_t number;  // of its shape
    size_t columns;
  };
  ShapeTable& shapes_;
  std::map<uint32_t, Known> relations_;  // as last sent; survive a commit
  uint32_t changed_oid_ = 0;             // of the last change,
  const Known* changed_ = nullptr;       // and what is known of it; null: look it up
  bool is_open_ = false;
  events::Transaction open_;
  size_t open_bytes_ = 0;
  bool part_due_ = false;  // a table of the open transaction has got another shape
  uint32_t parts_ = 0;     // that the open transaction has given
  uint64_t begin_final_lsn_ = 0;
  bool preparing_ = false;  // the open one will end with its prepare
};

}  // namespace indoubt
