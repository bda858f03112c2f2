// A decision, wherever it is kept: in the decision log, or in the decision table of a
// last resource.
#pragma once

#include <cstdint>
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

/// By what a client asked for a transaction, so that asked again it is not done twice.
struct RequestName {
  std::string id;  // [A-Za-z0-9_.:-]{1,64}; empty: the request has none
  /// A CRC-32C of its statements, to tell one that is asked again from
  /// another that was given the same id; 0: not known, as in logs of before there was one.
  uint32_t digest = 0;

  bool empty() const { return id.empty(); }
  /// Whether a request of the same id may be this one.
  bool MayBe(const RequestName& other) const {
    return digest == 0 || other.digest == 0 || digest == other.digest;
  }
  friend bool operator==(const RequestName&, const RequestName&) = default;
};

/// A commit decision as it is kept.
struct Decision {
  Gid gid;
  std::vector<BranchRecord> branches;
  RequestName request = {};
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
