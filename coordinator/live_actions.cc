// The actions of LiveTransaction: each one hands work to a participant or to the
// log, and turns the answer into the next event.
#include <fmt/format.h>

#include "base/text.h"
#include "coordinator/live_transaction.h"
#include "participants/result_limit.h"

namespace indoubt {
namespace {

/// How long one attempt to tell a decision may take before it counts as unanswered.
constexpr Duration kAttempt = std::chrono::seconds(5);

Vote UnknownVote(const Status& why) { return {VoteKind::kUnknown, "", why.message()}; }

size_t SizeInMemory(const std::vector<StatementResult>& results) {
  size_t size = 0;
  for (const StatementResult& result : results) size += indoubt::SizeInMemory(result);
  return size;
}

}  // namespace

void LiveTransaction::Work(size_t part, std::function<void(Status)> then) {
  auto self = shared_from_this();
  parts_[part].busy = true;
  branches_[part]->Work(
      std::move(parts_[part].statements),
      [self, part,
       then = std::move(then)](const Result<std::vector<StatementResult>>& results) {
        self->KeepReply(part, results.value_or(std::vector<StatementResult>{}));
        if (!results) return then(results.error());
        then(self->PassPoint("worked", part));
      });
}

void LiveTransaction::Do(const AskPrepare& ask) {
  const size_t part = ask.participant;
  if (!FailPointIsArmed("worked")) {
    SendPrepare(part, std::move(parts_[part].statements));
    return;
  }
  Work(part, [self = shared_from_this(), part](const Status& worked) {
    if (worked.ok()) return self->SendPrepare(part, {});
    self->Post(Voted{part, {VoteKind::kNo, "", worked.message()}});
  });
}

void LiveTransaction::SendPrepare(size_t part, std::vector<Statement> last) {
  if (Status before = PassPoint("before_prepare", part); !before.ok()) {
    // Nothing was sent: the branch is rolled back when it is let go.
    Post(Voted{part, {VoteKind::kNo, "", before.message()}});
    return;
  }
  Branch* branch = OwedBranch(part);
  if (branch == nullptr) return;
  branch->Prepare(std::move(last),
                  [this, part](PrepareReply&& reply) { OnPrepared(part, std::move(reply)); });
}

void LiveTransaction::OnPrepared(size_t part, PrepareReply&& reply) {
  const Status after = PassPoint("after_prepare", part);
  const size_t bytes = SizeInMemory(reply.results);
  const bool fits = result_bytes_.fetch_add(bytes) + bytes <= kMaxResultBytes;
  if (!fits) reply.results.clear();
  KeepReply(part, std::move(reply.results));
  // Before this vote can be the last yes: the answer to a commit could not be delivered.
  if (!fits) Post(GaveUp{StatusCode::kAborted, std::string(kTooManyResultsTogether)});
  if (!after.ok()) reply.vote = UnknownVote(after);
  if (reply.vote.kind == VoteKind::kUnknown) {
    engine_.readiness().Suspect(parts_[part].participant);
  }
  PostOwed(Voted{part, std::move(reply.vote)});
}

void LiveTransaction::Do(const AskOnePhase& ask) {
  const size_t part = ask.participant;
  if (!FailPointIsArmed("worked")) {
    SendOnePhase(part, std::move(parts_[part].statements));
    return;
  }
  Work(part, [self = shared_from_this(), part](const Status& worked) {
    if (worked.ok()) return self->SendOnePhase(part, {});
    self->Post(OnePhaseEnded{OnePhaseKind::kRolledBack, worked.message()});
  });
}

void LiveTransaction::SendOnePhase(size_t part, std::vector<Statement> last) {
  if (Status before = PassPoint("one_phase_before", part); !before.ok()) {
    Post(OnePhaseEnded{OnePhaseKind::kRolledBack, before.message()});
    return;
  }
  Branch* branch = OwedBranch(part);
  if (branch == nullptr) return;
  branch->CommitOnePhase(std::move(last), [this, part](OnePhaseReply&& reply) {
    OnOnePhase(part, std::move(reply));
  });
}

void LiveTransaction::OnOnePhase(size_t part, OnePhaseReply&& reply) {
  const Status after = PassPoint("one_phase_after", part);
  KeepReply(part, std::move(reply.results));
  if (!after.ok()) reply = {OnePhaseKind::kUnknown, after.message(), {}};
  if (reply.kind == OnePhaseKind::kUnknown) {
    engine_.readiness().Suspect(parts_[part].participant);
  }
  PostOwed(OnePhaseEnded{reply.kind, std::move(reply.reason)});
}

void LiveTransaction::Do(Propose& propose) {
  DecisionOutcome outcome = propose.outcome;
  if (outcome == DecisionOutcome::kCommitted) {
    if (Status voted = PassPoint("voted"); !voted.ok()) {
      outcome = DecisionOutcome::kAborted;
      forced_abort_ = voted.message();
    }
  }
  const uint64_t ended_before = engine_.ended();
  Owe();
  engine_.log().Decide(
      gid_, outcome,
      outcome == DecisionOutcome::kCommitted ? std::move(propose.branches)
                                             : std::vector<BranchRecord>{},
      [this, ended_before](DecisionOutcome stands, const Status& why) {
        OnDecided(stands, why, ended_before);
      },
      traits_.request);
}

void LiveTransaction::OnDecided(DecisionOutcome outcome, const Status& why,
                                uint64_t ended_before) {
  Decided decided{outcome, forced_abort_.empty() ? why.message() : forced_abort_};
  Status durable;
  if (outcome == DecisionOutcome::kCommitted) durable = PassPoint("decision_durable");
  if (!recovered_) SetDeadline(engine_.Now() + engine_.apply_timeout(), Deadline::kCaller);
  Engine& engine = engine_;
  if (durable.ok()) {
    PostOwed(std::move(decided));
  } else {
    PostLater(std::move(decided));
    SettleOwed();
  }
  // This may be gone by now.
  if (outcome != DecisionOutcome::kCommitted || !engine.Enter()) return;
  engine.ForgetEnded(ended_before);
  engine.Leave();
}

void LiveTransaction::Do(const TellCommit& tell) {
  TellAfterBackoff(tell.participant, tell.attempt, true);
}

void LiveTransaction::Do(const TellRollback& tell) {
  TellAfterBackoff(tell.participant, tell.attempt, false);
}

void LiveTransaction::TellAfterBackoff(size_t part, int attempt, bool commit) {
  if (attempt == 0) return Tell(part, commit);
  const TimePoint when = engine_.Now() + engine_.backoff().Delay(attempt);
  std::lock_guard lock(mutex_);
  parts_[part].retry =
      engine_.runtime().ScheduleAt(when, [self = shared_from_this(), part, commit] {
        if (!self->engine_.Enter()) return;
        self->Tell(part, commit);
        self->engine_.Leave();
      });
}

Status LiveTransaction::PassArmedPoint(std::string_view point) const {
  std::vector<std::string> taking_part;
  for (size_t i = 0; i < parts_.size(); ++i) taking_part.push_back(NameOf(i));
  return HitFailPoint(point, taking_part);
}

std::string_view LiveTransaction::PointName(bool before, bool commit) const {
  if (recovered_) {
    if (before) return commit ? "recovery_before_commit" : "recovery_before_rollback";
    return commit ? "recovery_after_commit" : "recovery_after_rollback";
  }
  if (before) return commit ? "before_commit" : "before_rollback";
  return commit ? "after_commit" : "after_rollback";
}

void LiveTransaction::Tell(size_t part, bool commit) {
  if (Status before = PassPoint(PointName(true, commit), part); !before.ok()) {
    Post(Acknowledged{part, {AckKind::kRetry, before.message()}});
    return;
  }
  Participant& participant = *engine_.participants()[parts_[part].participant];
  const TimePoint deadline = StepTime() + kAttempt;
  auto done = [this, part = static_cast<uint32_t>(part), commit](Ack&& ack) {
    OnTold(part, commit, std::move(ack));
  };
  static_assert(sizeof done <= 2 * sizeof(void*), "std::function holds it without memory");
  if (!OweUnlessOver()) return;
  if (commit) {
    // Every vote is in: nothing changes a token any more.
    participant.Commit(gid_, machine_.branches()[part].token, deadline, done);
    return;
  }
  Token token;
  {
    std::lock_guard lock(mutex_);
    token = machine_.branches()[part].token;
  }
  participant.Rollback(gid_, token, deadline, done);
}

void LiveTransaction::OnTold(size_t part, bool commit, Ack&& ack) {
  if (Status after = PassPoint(PointName(false, commit), part); !after.ok()) {
    ack = {AckKind::kRetry, after.message()};
  }
  if (ack.kind == AckKind::kRetry) engine_.readiness().Suspect(parts_[part].participant);
  PostOwed(Acknowledged{part, std::move(ack)});
}

void LiveTransaction::Do(const StoreHeuristic& store) {
  if (recovered_) {
    // Found before, by a process that died before the end record.
    for (const HeuristicRecord& known : engine_.log().Heuristics()) {
      if (known.gid != gid_ || known.participant != NameOf(store.participant)) continue;
      return Post(HeuristicStored{store.participant, true});
    }
  }
  HeuristicRecord record{gid_, NameOf(store.participant), store.decision,
                         PrintableAscii(store.reason), WallClockNow()};
  engine_.log().RecordHeuristic(
      std::move(record),
      [self = shared_from_this(), part = store.participant](const Status& stored) {
        self->Post(HeuristicStored{part, stored.ok()});
      });
}

void LiveTransaction::Do(const WriteEnd& end) {
  if (Status acknowledged = PassPoint("acknowledged"); !acknowledged.ok()) {
    engine_.runtime().ScheduleAt(engine_.Now() + engine_.backoff().Delay(1),
                                 [self = shared_from_this(), end] {
                                   if (!self->engine_.Enter()) return;
                                   self->Do(end);
                                   self->engine_.Leave();
                                 });
    return;
  }
  // A stray branch of an ended transaction needs no second end record.
  if (!recovered_ || engine_.log().Find(gid_) != LoggedState::kEnded) {
    engine_.log().End(gid_);
  }
  if (PassPoint("ended").ok()) {
    Post(EndWritten{});
  } else {
    PostLater(EndWritten{});
  }
}

TransactionOutcome LiveTransaction::OutcomeOf(const Answer& answer) {
  TransactionOutcome outcome;
  outcome.gid = gid_.ToString();
  outcome.outcome = answer.outcome;
  outcome.code = answer.code;
  outcome.reason = answer.reason;
  outcome.elapsed = StepTime() - began_;
  return outcome;
}

void LiveTransaction::Do(const Answer& answer) {
  if (!done_) return engine_.Notify();
  TransactionOutcome outcome = OutcomeOf(answer);
  outcome.warnings = std::move(warnings_);
  {
    std::lock_guard lock(mutex_);
    outcome.participants = machine_.Participants();
    outcome.results = TakeResults();
    deadline_ = Deadline::kNone;
    due_ = TimePoint::max();
  }
  const OutcomeCallback done = std::move(done_);
  done_ = nullptr;
  {
    const WithinCallback answers;
    done(std::move(outcome));
  }
  engine_.Notify();
}

// In the request's order; called with mutex_.
std::vector<StatementResult> LiveTransaction::TakeResults() {
  std::vector<StatementResult> results(part_of_.size());
  for (size_t i = 0; i < part_of_.size(); ++i) {
    Part& part = parts_[part_of_[i]];
    if (part.taken == part.results.size()) continue;
    results[i] = std::move(part.results[part.taken++]);
  }
  return results;
}

void LiveTransaction::Do(const Release&) {
  std::vector<size_t> told;
  told.reserve(parts_.size());
  Engine::Branches over;
  bool committed = false, recorded = false;
  {
    std::lock_guard lock(mutex_);
    committed = machine_.decision() == DecisionOutcome::kCommitted;
    recorded = machine_.end_recorded();
    over.swap(branches_);
    for (size_t i = 0; i < parts_.size(); ++i) {
      // A branch that still owes an answer lives on until it has given it.
      if (parts_[i].busy) {
        branches_.resize(over.size());
        branches_[i].swap(over[i]);
      }
      const BranchState& branch = machine_.branches()[i];
      const bool known = recovered_ || branch.vote == VoteKind::kYes;
      // What a store keeps of a heuristic outcome stays until a person forgets it.
      const bool settled =
          branch.ack != AckState::kUnknown && branch.ack != AckState::kHeuristic;
      if (known && settled) told.push_back(parts_[i].participant);
    }
    released_ = true;
    if (owed_ > 0) engine_.KeepUntilAnswered(shared_from_this());
  }
  if (recorded) {
    engine_.Ended(gid_, std::move(told));
  } else if (!committed) {
    // Nothing in the log: roll back of what is not there is done, now and later.
    for (size_t i : told) engine_.participants()[i]->Forget(gid_);
  }
  engine_.Unregister(gid_);
  if (!traits_.after_completion) return;
  const Transaction machine = Snapshot();
  TransactionOutcome outcome = OutcomeOf(machine.CurrentAnswer());
  outcome.participants = machine.Participants();
  traits_.after_completion(outcome);
}

}  // namespace indoubt
