// A few transactions of a repetition, lane by lane: the client, each store, who waited.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/summary/records.h"

namespace indoubt {

struct LaneSpan {
  std::string lane;
  std::string kind;  // "client", "queue", "prepared", "stale", "blocked", "fault"
  std::string label;
  double from_ms = 0;           // since the operation was due
  std::optional<double> to_ms;  // none: not seen to end
};

struct TransactionLanes {
  std::string id;       // the gid; where the path has none, cell and order
  std::string why;      // "longest in doubt", "typical", ...
  std::string outcome;  // in words
  std::vector<LaneSpan> spans;
};

/// Of the repetition's measured span: the transaction longest in doubt or the order longest
/// stale, the slowest one that was answered, and a typical one (of median response time).
/// Each once; none where there is no record of such a one.
std::vector<TransactionLanes> ChooseTransactions(const std::string& cell,
                                                 const RepRecords& records);

}  // namespace indoubt
