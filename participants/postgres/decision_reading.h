// Reads decision rows of a PostgreSQL last resource, for who only wants to know: nothing is
// written there, unlike LastResource::Ask, which decides what was undecided.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "participants/decision.h"

namespace indoubt {

struct FoundDecisions {
  std::string home;  // the table's identity; empty: there is no decision table
  /// The rows that are there, of the gids that were asked for.
  std::map<Gid, DecisionOutcome> outcomes;
};

/// `dsn` is never shown. Blocks until `deadline`: kDeadlineExceeded, or kUnavailable with
/// the server's words.
Result<FoundDecisions> ReadDecisionRows(const std::string& dsn, const std::vector<Gid>& gids,
                                        TimePoint deadline);

}  // namespace indoubt
