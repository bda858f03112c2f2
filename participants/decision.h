// A decision, wherever it is kept: in the decision log, or in the decision table of a
// last resource.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/gid.h"
#include "participants/participant.h"

namespace indoubt {

/// A participant that voted yes, with what it needs to be told the decision.
struct BranchRecord {
  std::string participant;
  Token token;
  friend bool operator==(const BranchRecord&, const BranchRecord&) = default;
};

/// A commit decision as it is kept.
struct Decision {
  Gid gid;
  std::vector<BranchRecord> branches;
  std::string request_id = {};  // by which the client asked for it; empty: none
  friend bool operator==(const Decision&, const Decision&) = default;
};

enum class DecisionOutcome {
  kCommitted,
  kAborted,
  kUnknown,  // nobody could say
};

/// "committed", "aborted" or "unknown": the words of the log and of the control socket.
inline const char* ToString(DecisionOutcome outcome) {
  switch (outcome) {
    case DecisionOutcome::kCommitted:
      return "committed";
    case DecisionOutcome::kAborted:
      return "aborted";
    case DecisionOutcome::kUnknown:
      break;
  }
  return "unknown";
}

/// The outcome of that word; kUnknown for any other text.
inline DecisionOutcome DecisionOutcomeOf(std::string_view word) {
  for (const DecisionOutcome outcome :
       {DecisionOutcome::kCommitted, DecisionOutcome::kAborted}) {
    if (word == ToString(outcome)) return outcome;
  }
  return DecisionOutcome::kUnknown;
}

}  // namespace indoubt
