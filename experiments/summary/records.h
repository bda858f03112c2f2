// The raw records of a run's folder (docs/run-format.md), read back. Everything
// in summary.json and in the report follows from these.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

enum class OperationOutcome { kCommitted, kRolledBack, kFailed, kUnknown, kDropped, kCensored };

/// A line of ops.ndjson. Times are nanoseconds of the run's monotonic clock.
struct OperationRecord {
  bool measured = false;  // of the phase "measure"
  OperationOutcome outcome = OperationOutcome::kFailed;
  int64_t intended_ns = 0;
  std::optional<int64_t> started_ns, ended_ns;
  std::string gid;  // empty: no answer named it, or the path has none
  std::optional<int64_t> order, account, item;
};

struct InDoubtRecord {
  std::string store, gid;
  int64_t first_seen_ns = 0, last_seen_ns = 0;
};

struct BlockedRecord {
  std::string store, key;
  int64_t started_ns = 0;
  std::optional<int64_t> ended_ns;
};

struct LagRecord {
  std::string store;
  std::optional<int64_t> order;
  int64_t committed_ns = 0;
  std::optional<int64_t> visible_ns;
};

struct ReadRecord {
  int64_t order = 0;
  bool fractured = false;
};

struct TimelineRecord {
  int64_t t_ns = 0;
  std::optional<int64_t> in_doubt, waiters;  // none: nobody looked
  std::map<std::string, std::optional<double>> lag_ms;
};

/// A line of slot.ndjson.
struct SlotRecord {
  int64_t t_ns = 0;
  int64_t retained_bytes = 0, prepared = 0;
};

/// A line of token_reads.ndjson; none: that store was not read.
struct TokenReadRecord {
  bool pair = false;  // of both stores; otherwise of one's own write in one
  bool with = false;  // a token, or a cut
  std::optional<double> waited_ms;
  std::optional<bool> stock, ledger;
};

/// One repetition. A file that is absent was not measured: no value.
struct RepRecords {
  nlohmann::json rep;  // rep.json; null when the repetition did not reach its end
  std::optional<std::vector<OperationRecord>> operations;
  std::optional<std::vector<InDoubtRecord>> in_doubt;
  std::optional<std::vector<BlockedRecord>> blocked;
  std::optional<std::vector<LagRecord>> lag;
  std::optional<std::vector<ReadRecord>> reads;
  std::optional<std::vector<TimelineRecord>> timeline;
  std::optional<std::vector<SlotRecord>> slot;
  std::optional<std::vector<BlockedRecord>> slot_waits;
  std::optional<std::vector<TokenReadRecord>> token_reads;
  /// Files whose last line was cut off (a run killed while it wrote); that line
  /// is left out.
  std::vector<std::string> cut_off;
};

/// run.json, its status as StatusOfRun says, and env.json (null if absent).
struct RunRecords {
  nlohmann::json run, env;
};

/// kNotFound: no such folder or no run.json in it. kCorrupt names file and field.
Result<RunRecords> ReadRun(const std::string& run_folder);
Result<RepRecords> ReadRep(const std::string& rep_folder);

}  // namespace indoubt
