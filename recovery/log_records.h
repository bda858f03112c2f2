// Between the log's own types and the bodies of its records (proto/records.proto).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "recovery/decision_log.h"

namespace indoubt {

struct EndRecord {
  Gid gid;
};
struct ForgetRecord {
  Gid gid;
  OperatorTrace by = {};
};
struct OpenedRecord {
  uint32_t incarnation = 0;
  std::string node;
  std::string at;
  std::optional<Gid> forgotten = {};  // as LogState::forgotten
};
/// Why the log is no longer taken for a new one beside branches that it cannot know.
struct AcceptedRecord {
  std::string why;
  std::string at;
};
/// Bit i of `bits` (least significant first): first.number + i has ended.
struct EndedRecord {
  Gid first;
  std::string bits;
  int64_t ended_at_s = 0;
};

/// A client's request whose commit has ended.
struct AnsweredRecord {
  NamedCommit commit;
  int64_t ended_at_s = 0;
};

using LogRecord = std::variant<Decision, EndRecord, HeuristicRecord, ForgetRecord, OpenedRecord,
                               EndedRecord, AcceptedRecord, OperatorDecision, AnsweredRecord>;

/// The body of a record. Text for people is cut to 1000 bytes and reduced to
/// printable ASCII: what is written must be readable again.
std::string EncodeLogRecord(const LogRecord& record);
/// kCorrupt when the bytes are no record that this version knows.
Result<LogRecord> DecodeLogRecord(std::string_view body);

}  // namespace indoubt
