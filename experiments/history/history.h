// A repetition as a history of transactions, for checkers of other people's: Jepsen's
// form, which Elle reads as an rw-register history.
//
// A key is STORE/KEY, e.g. "stock/order:17". An order is a register that is nil until it
// is written with its own number; a price is written with the price. So each store's copy of
// a fact is a register of its own, and a transaction writes all of them: what a reader finds
// in one store and not in another is a read skew.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace indoubt {

struct MicroOperation {
  bool write = false;
  std::string key;
  std::optional<int64_t> value;  // none: nil, or not known yet
};

enum class EventType {
  kInvoke,
  kOk,    // committed; read
  kFail,  // rolled back, or refused before anything was sent
  kInfo,  // may have happened: no answer
};

struct HistoryEvent {
  EventType type = EventType::kInvoke;
  int64_t process = 0;  // at most one operation at a time; ends with kInfo
  int64_t time_ns = 0;  // since the first event
  std::vector<MicroOperation> value;
};

/// The history of the repetition in `rep_folder`: its operations that were started, its
/// double reads (of a read whose collects disagreed the second one, at the time of the
/// first), and at the end what the stores held, one transaction an order and price. In the
/// order of time. kNotFound without ops.ndjson; kCorrupt names file and line.
Result<std::vector<HistoryEvent>> ReadHistory(const std::string& rep_folder);

/// One JSON array, one event a line.
std::string HistoryJson(const std::vector<HistoryEvent>& history);
/// EDN, one map a line, as Jepsen's history.edn.
std::string HistoryEdn(const std::vector<HistoryEvent>& history);

}  // namespace indoubt
