// The decoder of PostgreSQL's pgoutput messages: bytes in, whole transactions out.
// Source: PostgreSQL 15 manual, "55.9. Logical Replication Message Formats".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cdc/lsn.h"
#include "proto/events.pb.h"

namespace indoubt {

/// Understands protocol versions 1 to 3 as long as streaming of running transactions was
/// not asked for. Without two-phase decoding a prepared transaction arrives at its COMMIT
/// PREPARED like any other. With it, it arrives whole at its PREPARE (phase PREPARED), and
/// later, alone, how it ended. Pure: no I/O. Thread-compatible.
class PgOutputDecoder {
 public:
  /// A transaction with more row data than this comes in parts, so that memory is bounded.
  static constexpr size_t kPartBytes = size_t{1} << 20;
  /// Bound on a prepared transaction's row data: what may be discarded comes whole.
  static constexpr size_t kMaxPreparedBytes = size_t{256} << 20;

  /// Takes the next message. Returns a transaction when this was its commit or its
  /// prepare, one without changes when a prepared one has ended, and a part (with its number)
  /// when a large one has gathered enough.
  /// kCorrupt for bytes that are no such message or come out of order,
  /// kUnsupported for messages that belong to options not asked for or for a
  /// transaction above the bound. After an error the decoder is of no more use:
  /// make a new one and start the stream again.
  Result<std::optional<events::Transaction>> Decode(std::string_view message);

  /// Takes transactions back whose memory the next ones may use: most of the decoder's time
  /// would go to the allocator.
  void Recycle(std::vector<events::Transaction>& done);

  /// Whether a transaction has begun and not ended.
  bool in_transaction() const { return open_.has_value(); }

 private:
  class Reader;
  /// Of one of the messages that give a transaction: C, P, K or r.
  Result<events::Transaction> End(char message, Reader& reader);
  Status Begin(Reader& reader);
  Result<events::Transaction> Commit(Reader& reader);
  Status BeginPrepare(Reader& reader);
  Result<events::Transaction> Prepare(Reader& reader);
  Result<events::Transaction> FinishPrepared(Reader& reader, events::Transaction::Phase how);
  Status Relation(Reader& reader);
  Status Insert(Reader& reader);
  Status Update(Reader& reader);
  Status Delete(Reader& reader);
  Status Truncate(Reader& reader);
  /// The open transaction's new change of a known relation.
  Result<events::Change*> NewChange(uint32_t relation_oid, events::Change::Kind kind);
  Status ReadRow(Reader& reader, uint32_t relation_oid, std::string* tuple);
  /// The open transaction so far, if it has become large; it goes on without.
  std::optional<events::Transaction> TakePart();
  /// An empty one.
  events::Transaction Fresh();

  std::map<uint32_t, events::Relation> relations_;  // as last sent; survive a commit
  std::optional<events::Transaction> open_;
  std::vector<events::Transaction> spare_;
  std::map<uint32_t, bool> named_;  // relations whose shape the open transaction has
  size_t open_bytes_ = 0;
  uint32_t parts_ = 0;  // that the open transaction has given
  uint64_t begin_final_lsn_ = 0;
  bool preparing_ = false;  // the open one will end with its prepare
};

}  // namespace indoubt
