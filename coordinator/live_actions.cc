// The actions of LiveTransaction: each one hands work to a participant or to the
// log, and turns the answer into the next event.
#include <fmt/format.h>

#include "base/failpoint.h"
#include "coordinator/live_transaction.h"

namespace indoubt {
namespace {

/// How long one attempt to tell a decision may take before it counts as unanswered.
constexpr Duration kAttempt = std::chrono::seconds(5);

Vote UnknownVote(const Status& why) { return {VoteKind::kUnknown, "", why.message()}; }

}  // namespace

void LiveTransaction::Work(size_t part, std::function<void(Status)> then) {
  auto self = shared_from_this();
  SetBusy(part);
  parts_[part].branch->Work(
      std::move(parts_[part].statements),
      [self, part,
       then = std::move(then)](const Result<std::vector<StatementResult>>& results) {
        self->KeepReply(part, results.value_or(std::vector<StatementResult>{}));
        if (!results) return then(results.error());
        then(HitFailPoint("worked", self->NameOf(part)));
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
  if (Status before = HitFailPoint("before_prepare", NameOf(part)); !before.ok()) {
    // Nothing was sent: the branch is rolled back when it is let go.
    Post(Voted{part, {VoteKind::kNo, "", before.message()}});
    return;
  }
  SetBusy(part);
  parts_[part].branch->Prepare(
      std::move(last), [self = shared_from_this(), part](PrepareReply reply) {
        const Status after = HitFailPoint("after_prepare", self->NameOf(part));
        self->KeepReply(part, std::move(reply.results));
        if (!after.ok()) reply.vote = UnknownVote(after);
        if (reply.vote.kind == VoteKind::kUnknown) {
          self->engine_.readiness().Suspect(self->parts_[part].participant);
        }
        self->Post(Voted{part, std::move(reply.vote)});
      });
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
  if (Status before = HitFailPoint("one_phase_before", NameOf(part)); !before.ok()) {
    Post(OnePhaseEnded{OnePhaseKind::kRolledBack, before.message()});
    return;
  }
  SetBusy(part);
  parts_[part].branch->CommitOnePhase(
      std::move(last), [self = shared_from_this(), part](OnePhaseReply reply) {
        const Status after = HitFailPoint("one_phase_after", self->NameOf(part));
        self->KeepReply(part, std::move(reply.results));
        if (!after.ok()) reply = {OnePhaseKind::kUnknown, after.message(), {}};
        if (reply.kind == OnePhaseKind::kUnknown) {
          self->engine_.readiness().Suspect(self->parts_[part].participant);
        }
        self->Post(OnePhaseEnded{reply.kind, std::move(reply.reason)});
      });
}

void LiveTransaction::Do(const Propose& propose) {
  DecisionOutcome outcome = propose.outcome;
  std::string forced;  // why the commit is not even proposed
  if (outcome == DecisionOutcome::kCommitted) {
    if (Status voted = PassPoint("voted"); !voted.ok()) {
      outcome = DecisionOutcome::kAborted;
      forced = voted.message();
    }
  }
  const uint64_t ended_before = engine_.ended();
  engine_.log().Decide(
      gid_, outcome,
      outcome == DecisionOutcome::kCommitted ? propose.branches : std::vector<BranchRecord>{},
      [self = shared_from_this(), forced, ended_before](DecisionOutcome stands,
                                                        const Status& why) {
        self->OnDecided(stands, forced.empty() ? why.message() : forced, ended_before);
      },
      traits_.request_id);
}

void LiveTransaction::OnDecided(DecisionOutcome outcome, std::string reason,
                                uint64_t ended_before) {
  Decided decided{outcome, std::move(reason)};
  Status durable;
  if (outcome == DecisionOutcome::kCommitted) durable = PassPoint("decision_durable");
  if (!recovered_) {
    SetCallerTimer(engine_.Now() + engine_.apply_timeout(), CallerTimedOut{});
  }
  if (durable.ok()) {
    Post(std::move(decided));
  } else {
    PostLater(std::move(decided));
  }
  if (outcome != DecisionOutcome::kCommitted || !engine_.Enter()) return;
  engine_.ForgetEnded(ended_before);
  engine_.Leave();
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

Status LiveTransaction::PassPoint(const char* point) const {
  if (!FailPointIsArmed(point)) return Status::Ok();
  std::vector<std::string> taking_part;
  for (const Part& part : parts_) taking_part.push_back(part.name);
  return HitFailPoint(point, taking_part);
}

const char* LiveTransaction::PointName(bool before, bool commit) const {
  if (recovered_) {
    if (before) return commit ? "recovery_before_commit" : "recovery_before_rollback";
    return commit ? "recovery_after_commit" : "recovery_after_rollback";
  }
  if (before) return commit ? "before_commit" : "before_rollback";
  return commit ? "after_commit" : "after_rollback";
}

void LiveTransaction::Tell(size_t part, bool commit) {
  if (Status before = HitFailPoint(PointName(true, commit), NameOf(part)); !before.ok()) {
    Post(Acknowledged{part, {AckKind::kRetry, before.message()}});
    return;
  }
  Token token;
  {
    std::lock_guard lock(mutex_);
    if (superseded_) return;
    token = machine_.branches()[part].token;
  }
  Participant& participant = *engine_.participants()[parts_[part].participant];
  const TimePoint deadline = engine_.Now() + kAttempt;
  auto done = [self = shared_from_this(), part, commit](Ack ack) {
    self->OnTold(part, commit, std::move(ack));
  };
  if (commit) {
    participant.Commit(gid_, token, deadline, std::move(done));
  } else {
    participant.Rollback(gid_, token, deadline, std::move(done));
  }
}

void LiveTransaction::OnTold(size_t part, bool commit, Ack ack) {
  if (Status after = HitFailPoint(PointName(false, commit), NameOf(part)); !after.ok()) {
    ack = {AckKind::kRetry, after.message()};
  }
  if (ack.kind == AckKind::kRetry) engine_.readiness().Suspect(parts_[part].participant);
  Post(Acknowledged{part, std::move(ack)});
}

void LiveTransaction::Do(const StoreHeuristic& store) {
  if (recovered_) {
    // Found before, by a process that died before the end record.
    for (const HeuristicRecord& known : engine_.log().Heuristics()) {
      if (known.gid != gid_ || known.participant != NameOf(store.participant)) continue;
      return Post(HeuristicStored{store.participant, true});
    }
  }
  HeuristicRecord record{gid_, NameOf(store.participant), store.decision, store.reason,
                         WallClockNow()};
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

TransactionOutcome LiveTransaction::OutcomeOf(const Answer& answer) const {
  TransactionOutcome outcome;
  outcome.gid = gid_.ToString();
  outcome.outcome = answer.outcome;
  outcome.code = answer.code;
  outcome.reason = answer.reason;
  outcome.elapsed = engine_.Now() - began_;
  return outcome;
}

void LiveTransaction::Do(const Answer& answer) {
  if (!done_) return engine_.Notify();
  TransactionOutcome outcome = OutcomeOf(answer);
  outcome.warnings = std::move(warnings_);
  {
    std::lock_guard lock(mutex_);
    outcome.participants = machine_.Participants();
    size_t count = 0;
    for (const Part& part : parts_) count += part.positions.size();
    outcome.results.resize(count);
    for (Part& part : parts_) {
      for (size_t i = 0; i < part.results.size() && i < part.positions.size(); ++i) {
        outcome.results[part.positions[i]] = std::move(part.results[i]);
      }
    }
    if (caller_timer_) engine_.runtime().Cancel(*caller_timer_);
    caller_timer_.reset();
  }
  const OutcomeCallback done = std::move(done_);
  done_ = nullptr;
  done(std::move(outcome));
  engine_.Notify();
}

void LiveTransaction::Do(const Release&) {
  std::vector<std::unique_ptr<Branch>> branches;
  std::vector<size_t> told;
  bool committed = false, recorded = false;
  {
    std::lock_guard lock(mutex_);
    committed = machine_.decision() == DecisionOutcome::kCommitted;
    recorded = machine_.end_recorded();
    for (size_t i = 0; i < parts_.size(); ++i) {
      // A branch that still owes an answer lives on until it has given it.
      if (parts_[i].branch && !parts_[i].busy) branches.push_back(std::move(parts_[i].branch));
      const BranchState& branch = machine_.branches()[i];
      const bool known = recovered_ || branch.vote == VoteKind::kYes;
      // What a store keeps of a heuristic outcome stays until a person forgets it.
      const bool settled =
          branch.ack != AckState::kUnknown && branch.ack != AckState::kHeuristic;
      if (known && settled) told.push_back(parts_[i].participant);
    }
  }
  if (recorded) {
    engine_.Ended(gid_, std::move(told));
  } else if (!committed) {
    // Nothing in the log: roll back of what is not there is done, now and later.
    for (size_t i : told) engine_.participants()[i]->Forget(gid_);
  }
  engine_.Retire(std::move(branches));
  engine_.Unregister(gid_);
  if (!traits_.after_completion) return;
  const Transaction machine = Snapshot();
  TransactionOutcome outcome = OutcomeOf(machine.CurrentAnswer());
  outcome.participants = machine.Participants();
  traits_.after_completion(outcome);
}

}  // namespace indoubt
