#include "coordinator/executor.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/duration.h"

namespace indoubt {

Status CheckTimeout(Duration timeout) {
  if (timeout >= Duration{} && timeout <= kLongestTimeout) return Status::Ok();
  return Status(StatusCode::kInvalidArgument,
                fmt::format("timeout {}: must be at most {}, and not below 0s (the default)",
                            FormatDuration(timeout), FormatDuration(kLongestTimeout)));
}

Status CheckRequestId(const std::string& id) {
  constexpr size_t kLongest = 64;
  const bool allowed = std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '.' || c == ':' || c == '-';
  });
  if (allowed && id.size() <= kLongest) return Status::Ok();
  return Status(StatusCode::kInvalidArgument,
                fmt::format("a request id is 1 to {} of [A-Za-z0-9_.:-]", kLongest));
}

TransactionOutcome RefusedBecause(const Status& why) {
  TransactionOutcome outcome;
  outcome.outcome = Outcome::kRolledBack;
  outcome.code = why.code();
  outcome.reason = why.message();
  return outcome;
}

const char* ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCommitted:
      return "committed";
    case Outcome::kRolledBack:
      return "rolled_back";
    case Outcome::kInDoubt:
      return "in_doubt";
    case Outcome::kHeuristic:
      return "heuristic";
  }
  return "?";
}

const char* ToString(AckState ack) {
  switch (ack) {
    case AckState::kNone:
      return "none";
    case AckState::kCommitted:
      return "committed";
    case AckState::kRolledBack:
      return "rolled_back";
    case AckState::kUnknown:
      return "unknown";
    case AckState::kHeuristic:
      return "heuristic";
  }
  return "?";
}

const char* ToString(VoteKind vote) {
  switch (vote) {
    case VoteKind::kYes:
      return "yes";
    case VoteKind::kReadOnly:
      return "read_only";
    case VoteKind::kNo:
      return "no";
    case VoteKind::kUnknown:
      return "unknown";
  }
  return "?";
}

}  // namespace indoubt
