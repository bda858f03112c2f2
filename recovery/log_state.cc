#include "recovery/log_state.h"

#include <algorithm>

#include "recovery/log_format.h"

namespace indoubt {
namespace {

/// Ended transactions that a new segment still carries, so that a restart does not
/// forget the latest outcomes.
constexpr size_t kMostEndedCarried = 10'000;

constexpr const char* kCommittedWord = "committed";
constexpr const char* kAbortedWord = "aborted";
constexpr const char* kUnknownWord = "unknown";

const char* Word(DecisionOutcome outcome) {
  switch (outcome) {
    case DecisionOutcome::kCommitted:
      return kCommittedWord;
    case DecisionOutcome::kAborted:
      return kAbortedWord;
    case DecisionOutcome::kUnknown:
      return kUnknownWord;
  }
  return kUnknownWord;
}

DecisionOutcome FromWord(const std::string& word) {
  if (word == kCommittedWord) return DecisionOutcome::kCommitted;
  return word == kAbortedWord ? DecisionOutcome::kAborted : DecisionOutcome::kUnknown;
}

}  // namespace

Status LogState::Apply(const records::Record& record, TimePoint now) {
  switch (record.body_case()) {
    case records::Record::kCommit: {
      INDOUBT_ASSIGN_OR_RETURN(Gid gid, FromProto(record.commit().gid()));
      Decision decision{std::move(gid), {}};
      for (const records::Branch& branch : record.commit().branches()) {
        decision.branches.push_back({branch.participant(), branch.token()});
      }
      Commit(std::move(decision));
      return Status::Ok();
    }
    case records::Record::kEnd: {
      INDOUBT_ASSIGN_OR_RETURN(const Gid gid, FromProto(record.end().gid()));
      End(gid, now);
      return Status::Ok();
    }
    case records::Record::kHeuristic: {
      const records::Heuristic& from = record.heuristic();
      INDOUBT_ASSIGN_OR_RETURN(Gid gid, FromProto(from.gid()));
      Add({std::move(gid), from.participant(), FromWord(from.decision()), from.reason(),
           from.found_at()});
      return Status::Ok();
    }
    case records::Record::kForget: {
      INDOUBT_ASSIGN_OR_RETURN(const Gid gid, FromProto(record.forget().gid()));
      Forget(gid);
      return Status::Ok();
    }
    case records::Record::kOpened:
      incarnation_ = std::max(incarnation_, record.opened().incarnation());
      return Status::Ok();
    case records::Record::kCheckpoint:
      incarnation_ = std::max(incarnation_, record.checkpoint().incarnation());
      return Status::Ok();
    case records::Record::BODY_NOT_SET:
      break;
  }
  return Status(StatusCode::kCorrupt, "a record of a kind that this version does not know");
}

void LogState::Commit(Decision decision) {
  if (ended_.contains(decision.gid)) return;
  unended_[std::move(decision.gid)] = std::move(decision.branches);
}

void LogState::End(const Gid& gid, TimePoint now) {
  unended_.erase(gid);
  if (ended_.emplace(gid, now).second) ended_order_.push_back(gid);
  Expire(now);
}

void LogState::Expire(TimePoint now) {
  while (!ended_order_.empty()) {
    const auto oldest = ended_.find(ended_order_.front());
    const bool old = oldest != ended_.end() && oldest->second + outcome_retention_ < now;
    if (!old && ended_order_.size() <= kMostEnded) return;
    if (oldest != ended_.end()) ended_.erase(oldest);
    ended_order_.pop_front();
  }
}

void LogState::Add(HeuristicRecord record) {
  for (const HeuristicRecord& known : heuristics_) {
    if (known.gid == record.gid && known.participant == record.participant) return;
  }
  heuristics_.push_back(std::move(record));
}

void LogState::Forget(const Gid& gid) {
  std::erase_if(heuristics_, [&gid](const HeuristicRecord& known) { return known.gid == gid; });
}

std::vector<Decision> LogState::Unended() const {
  std::vector<Decision> decisions;
  decisions.reserve(unended_.size());
  for (const auto& [gid, branches] : unended_) decisions.push_back({gid, branches});
  return decisions;
}

LoggedState LogState::Find(const Gid& gid, TimePoint now) const {
  if (unended_.contains(gid)) return LoggedState::kCommitted;
  const auto ended = ended_.find(gid);
  const bool remembered = ended != ended_.end() && ended->second + outcome_retention_ >= now;
  return remembered ? LoggedState::kEnded : LoggedState::kUnknown;
}

std::vector<records::Record> LogState::Carried() const {
  std::vector<records::Record> carried;
  const size_t skipped =
      ended_order_.size() > kMostEndedCarried ? ended_order_.size() - kMostEndedCarried : 0;
  for (size_t i = skipped; i < ended_order_.size(); ++i) {
    carried.push_back(EndRecord(ended_order_[i]));
  }
  for (const auto& [gid, branches] : unended_) carried.push_back(CommitRecord({gid, branches}));
  for (const HeuristicRecord& heuristic : heuristics_) {
    carried.push_back(HeuristicToRecord(heuristic));
  }
  return carried;
}

records::Record CommitRecord(const Decision& decision) {
  records::Record record;
  ToProto(decision.gid, *record.mutable_commit()->mutable_gid());
  for (const BranchRecord& branch : decision.branches) {
    records::Branch& to = *record.mutable_commit()->add_branches();
    to.set_participant(branch.participant);
    to.set_token(branch.token);
  }
  return record;
}

records::Record EndRecord(const Gid& gid) {
  records::Record record;
  ToProto(gid, *record.mutable_end()->mutable_gid());
  return record;
}

records::Record HeuristicToRecord(const HeuristicRecord& heuristic) {
  records::Record record;
  records::Heuristic& to = *record.mutable_heuristic();
  ToProto(heuristic.gid, *to.mutable_gid());
  to.set_participant(heuristic.participant);
  to.set_decision(Word(heuristic.decision));
  to.set_reason(heuristic.reason);
  to.set_found_at(heuristic.found_at);
  return record;
}

records::Record ForgetRecord(const Gid& gid) {
  records::Record record;
  ToProto(gid, *record.mutable_forget()->mutable_gid());
  return record;
}

}  // namespace indoubt
