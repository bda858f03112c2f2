// One transaction at one participant, step by step, so that a fault can be put into any
// step; and what must hold afterwards, whatever was told.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/participants/contract_fixture.h"

namespace indoubt {

/// What a fault can strike. kWorkAndPrepare is two calls: their messages follow each other.
enum class Step { kWorkAndPrepare, kPrepareAtOnce, kCommit, kRollback, kOnePhase };
inline constexpr Step kAllSteps[] = {Step::kWorkAndPrepare, Step::kPrepareAtOnce, Step::kCommit,
                                     Step::kRollback, Step::kOnePhase};
inline const char* ToString(Step step) {
  switch (step) {
    case Step::kWorkAndPrepare:
      return "work, then prepare";
    case Step::kPrepareAtOnce:
      return "prepare";
    case Step::kCommit:
      return "commit";
    case Step::kRollback:
      return "roll back";
    case Step::kOnePhase:
      return "one-phase commit";
  }
  return "";
}

/// What the step's caller was told. One of the three is set.
struct Told {
  std::optional<Vote> vote;
  std::optional<Ack> ack;
  std::optional<OnePhaseReply> one_phase;
};

/// Adds 5 to "a" and inserts "new".
class ContractTransaction {
 public:
  ContractTransaction(ContractStore& store, Step step)
      : store_(store), step_(step), gid_(NewTestGid()) {}

  const Gid& gid() const { return gid_; }
  const Token& token() const { return token_; }

  /// Everything before the step, without a fault, through `participant`.
  void BringTo(Participant& participant) {
    if (step_ != Step::kCommit && step_ != Step::kRollback) return;
    const PrepareReply reply = PrepareNow(participant, gid_, Statements());
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    token_ = reply.vote.token;
  }

  /// The step itself, asked for once.
  Told Take(Participant& participant, TimePoint deadline) {
    Told told;
    switch (step_) {
      case Step::kWorkAndPrepare: {
        auto branch = participant.Begin(gid_, deadline);
        const auto worked = WorkNow(*branch, {Statements().front()});
        told.vote = PrepareNow(*branch, {Statements().back()}).vote;
        if (!worked) {
          EXPECT_EQ(told.vote->kind, VoteKind::kNo) << "after work that failed";
        }
        break;
      }
      case Step::kPrepareAtOnce: {
        auto branch = participant.Begin(gid_, deadline);
        told.vote = PrepareNow(*branch, Statements()).vote;
        break;
      }
      case Step::kCommit:
        told.ack = StartCommit(participant, gid_, token_, deadline).get();
        break;
      case Step::kRollback:
        told.ack = StartRollback(participant, gid_, token_, deadline).get();
        break;
      case Step::kOnePhase: {
        auto branch = participant.Begin(gid_, deadline);
        told.one_phase = CommitOnePhaseNow(*branch, Statements());
        break;
      }
    }
    if (told.vote) token_ = told.vote->token;
    return told;
  }

  /// Ends the transaction as a coordinator would that was told `told` (nothing: it died),
  /// through `participant`; returns whether it must be written, none: either way.
  std::optional<bool> Settle(const std::optional<Told>& told, Participant& participant) {
    if (told && told->vote && told->vote->kind == VoteKind::kYes) {
      ExpectDone(CommitNow(participant, gid_, token_));
      return true;
    }
    switch (step_) {
      case Step::kWorkAndPrepare:
      case Step::kPrepareAtOnce:
        ExpectDone(RollbackNow(participant, gid_, ""));
        return false;
      case Step::kCommit:
        if (told) {
          EXPECT_NE(told->ack->kind, AckKind::kHeuristic) << told->ack->reason;
        }
        ExpectDone(CommitNow(participant, gid_, token_));
        ExpectDone(CommitNow(participant, gid_, token_));
        return true;
      case Step::kRollback:
        if (told) {
          EXPECT_NE(told->ack->kind, AckKind::kHeuristic) << told->ack->reason;
        }
        ExpectDone(RollbackNow(participant, gid_, token_));
        ExpectDone(RollbackNow(participant, gid_, token_));
        return false;
      case Step::kOnePhase:
        break;
    }
    if (!told || told->one_phase->kind == OnePhaseKind::kUnknown) return std::nullopt;
    return told->one_phase->kind == OnePhaseKind::kCommitted;
  }

 private:
  std::vector<Statement> Statements() { return {store_.Add("a", 5), store_.Insert("new", 1)}; }
  static void ExpectDone(const Ack& ack) { EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason; }

  ContractStore& store_;
  const Step step_;
  const Gid gid_;
  Token token_;
};

}  // namespace indoubt
