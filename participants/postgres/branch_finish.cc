// The end of a branch: PREPARE TRANSACTION or COMMIT, in one round trip where no
// answer is needed in between.
#include <algorithm>

#include <fmt/format.h>

#include "participants/postgres/branch_state.h"
#include "participants/postgres/decision_table.h"
#include "participants/postgres/final_reply.h"
#include "participants/postgres/sql_text.h"

namespace indoubt::pg {
namespace {

constexpr Duration kFatePollInterval = std::chrono::milliseconds(20);

}  // namespace

void BranchState::Decide(std::vector<Statement> last, std::vector<BranchRecord> others,
                         FinishedCallback done) {
  others_ = std::move(others);
  Finish(Ending::kDecide, std::move(last), std::move(done));
}

void BranchState::Finish(Ending ending, std::vector<Statement> last, FinishedCallback done) {
  const auto self = shared_from_this();
  ending_ = ending;
  done_ = std::move(done);
  busy_ = true;
  if (ending == Ending::kPrepare) core_->unanswered.Start(branch_);
  const bool nothing = last.empty() && !begun_ && ended_reason_.empty();
  if (nothing && ending != Ending::kDecide) {
    return Conclude({.kind = Finished::Kind::kReadOnly});
  }
  timer_ = core_->pool.At(deadline_, [self] {
    self->timer_.reset();
    const bool sent = self->final_sent_;
    self->Answer({.kind = sent ? Finished::Kind::kUnknown : Finished::Kind::kNo,
                  .reason = self->waits_for_lease_
                                ? self->core_->pool.NoneFree()
                                : "no answer from PostgreSQL by the transaction's deadline"});
  });
  const auto shared = std::make_shared<std::vector<Statement>>(std::move(last));
  Open(
      *shared, [self, shared] { self->SendLast(std::move(*shared)); },
      [self](const Status& why) { self->Refuse(why); });
}

void BranchState::SendLast(std::vector<Statement> last) {
  if (!done_) return Refuse(Status(StatusCode::kDeadlineExceeded, "too late"));
  // A prepare can be taken back when the rows turn out to be others than expected, or too
  // many; a commit cannot.
  bool with_final = ending_ != Ending::kPrepare || may_write_;
  if (ending_ != Ending::kPrepare) {
    with_final =
        with_final && std::none_of(last.begin(), last.end(), [](const Statement& each) {
          return each.expect_rows || MayReturnRows(each.text);
        });
  }
  std::vector<Command> commands = OpeningCommands(/*stays_open=*/false);
  const size_t opening = commands.size();
  AddStatements(last, commands);
  // A lone commit has no name to be asked for later, so its id must come back first.
  const bool flush = ending_ == Ending::kCommit && with_final;
  Command& asked = commands.emplace_back();
  const bool assign = takes_lock_ && ending_ == Ending::kPrepare;
  asked = ending_ == Ending::kDecide ? InsertCommitRow(gid_, others_)
                                     : AskTransactionId(assign, flush);
  asked.keep = !taint_;
  if (with_final) {
    commands.push_back({.text = ending_ == Ending::kPrepare
                                    ? fmt::format("PREPARE TRANSACTION '{}'", branch_)
                                    : "COMMIT"});
    final_sent_ = true;
    final_sent_at_ = SystemClock().Now();
    lease_->CleanAfterNext();
  }
  Run(std::move(commands),
      [self = shared_from_this(), opening, last = std::move(last), with_final](
          ScriptReply reply) { self->OnLast(std::move(reply), opening, last, with_final); });
}

void BranchState::OnLast(ScriptReply reply, size_t opening, const std::vector<Statement>& last,
                         bool with_final) {
  const size_t asked = opening + last.size();
  if (reply.replies.size() <= asked) {  // the connection broke before anything was sent
    return Refuse(Status(StatusCode::kUnavailable, "connection lost: " + reply.lost_reason));
  }
  xid_ = TextAt(reply.replies[asked], 0);
  const Status status = TakeStatementReplies(reply, opening, last);
  const bool lost_on_the_way = !status.ok() && status.code() == StatusCode::kUnavailable;
  if (lost_on_the_way && with_final) return OnFinal(reply, asked + 1);
  const bool got_through = reply.FirstError().value_or(asked + 1) > asked;
  if (!status.ok() && with_final && got_through) return TakeBack(reply, asked + 1, status);
  if (!status.ok()) return Refuse(status);
  if (reply.replies[asked].kind == Reply::Kind::kError) {
    return Refuse(Status(StatusCode::kAborted, WhyRefused(ending_, reply.replies[asked])));
  }
  if (with_final) return OnFinal(reply, asked + 1);
  if (reply.lost) {
    return Refuse(Status(StatusCode::kUnavailable, "connection lost: " + reply.lost_reason));
  }
  if (!done_) return Refuse(Status(StatusCode::kDeadlineExceeded, "too late"));
  if (xid_.empty() && ending_ == Ending::kPrepare) {
    return EndReadOnly(TextAt(reply.replies[asked], 1) == "serializable");
  }
  SendFinal();
}

/// It ran to its end, and what came back is not what was asked for.
void BranchState::TakeBack(const ScriptReply& reply, size_t index, const Status& why) {
  const Finished prepared = ReadFinalReply(ending_, reply, index);
  if (prepared.kind == Finished::Kind::kNo) return Refuse(why);
  Finished finished{.kind = Finished::Kind::kUnknown, .reason = why.message()};
  if (prepared.kind == Finished::Kind::kUnknown) return Conclude(std::move(finished));
  lease_->RunCleaned({.text = fmt::format("ROLLBACK PREPARED '{}'", branch_)}, limit(),
                     [self = shared_from_this(), finished](const ScriptReply& answer) mutable {
                       const bool gone = !answer.lost && !answer.FirstError();
                       if (gone) finished.kind = Finished::Kind::kNo;
                       self->Conclude(std::move(finished));
                     });
}

void BranchState::SendFinal() {
  lease_->CleanAfterNext();
  final_sent_ = true;
  final_sent_at_ = SystemClock().Now();
  Run({Command{.text = ending_ == Ending::kPrepare
                           ? fmt::format("PREPARE TRANSACTION '{}'", branch_)
                           : "COMMIT"}},
      [self = shared_from_this()](ScriptReply reply) {
        if (reply.replies.empty()) reply.replies.emplace_back();
        self->OnFinal(reply, 0);
      });
}

void BranchState::OnFinal(const ScriptReply& reply, size_t index) {
  Finished finished = ReadFinalReply(ending_, reply, index);
  finished.token = xid_;
  const bool prepares = ending_ == Ending::kPrepare;
  if (finished.kind == Finished::Kind::kNo) {
    return Refuse(Status(StatusCode::kAborted, finished.reason));
  }
  if (finished.kind == Finished::Kind::kUnknown && ending_ == Ending::kCommit) {
    return SettleCommit();
  }
  if (finished.kind == Finished::Kind::kDone && prepares && xid_.empty()) {
    return EndPreparedReadOnly();
  }
  Conclude(std::move(finished));
}

/// Nothing was written: a rollback keeps even a NOTIFY from escaping. Serializable
/// reads count only when their transaction commits.
void BranchState::EndReadOnly(bool serializable) {
  lease_->CleanAfterNext();
  lease_->Run(
      {Command{.text = serializable ? "COMMIT" : "ROLLBACK"}}, limit(),
      [self = shared_from_this(), serializable](const ScriptReply& reply) {
        if (serializable && reply.FirstError()) {
          return self->Refuse(Status(StatusCode::kAborted, reply.replies.front().message));
        }
        if (serializable && reply.lost) {
          return self->Refuse(
              Status(StatusCode::kUnavailable, "connection lost: " + reply.lost_reason));
        }
        self->Conclude({.kind = Finished::Kind::kReadOnly});
      });
}

/// Its statements looked like writes and touched nothing: the prepared husk goes.
void BranchState::EndPreparedReadOnly() {
  lease_->RunCleaned({.text = fmt::format("COMMIT PREPARED '{}'", branch_)}, limit(),
                     [self = shared_from_this()](const ScriptReply& reply) {
                       Finished finished{.kind = Finished::Kind::kReadOnly};
                       if (reply.lost || reply.FirstError()) {
                         finished.kind = Finished::Kind::kUnknown;
                         finished.reason =
                             "an empty branch was prepared and could not be ended";
                       }
                       self->Conclude(std::move(finished));
                     });
}

/// A commit without an answer: the transaction's id tells, as far as it can. After a
/// crash of the server the id may have been given to another transaction, so that
/// "committed" counts only on a connection that was there before: then there was none.
void BranchState::SettleCommit() {
  lease_.reset();
  if (xid_.empty() || !done_) {
    return Conclude(
        {.kind = Finished::Kind::kUnknown, .reason = "connection lost during COMMIT"});
  }
  const auto self = shared_from_this();
  core_->pool.Acquire(Lane::kPhaseTwo, deadline_, [self](auto lease) {
    if (!lease) {
      return self->Conclude(
          {.kind = Finished::Kind::kUnknown,
           .reason = "connection lost during COMMIT; " + lease.error().message()});
    }
    self->lease_ = *std::move(lease);
    const bool uninterrupted = self->lease_->established() < self->final_sent_at_;
    self->lease_->Run({AskFate(self->xid_)}, self->limit(), [self, uninterrupted](auto reply) {
      const Fate fate = FateFrom(reply);
      if (fate == Fate::kInProgress && self->done_) {
        self->lease_.reset();
        self->core_->pool.At(SystemClock().Now() + kFatePollInterval,
                             [self] { self->SettleCommit(); });
        return;
      }
      Finished finished{.kind = Finished::Kind::kUnknown,
                        .reason =
                            "connection lost during COMMIT, and the server cannot tell "
                            "how it ended"};
      if (fate == Fate::kCommitted && uninterrupted) finished.kind = Finished::Kind::kDone;
      if (fate == Fate::kAborted || fate == Fate::kInFuture) {
        finished.kind = Finished::Kind::kNo;
        finished.reason = "connection lost during COMMIT, which did not take place";
      }
      self->Conclude(std::move(finished));
    });
  });
}

void BranchState::Refuse(const Status& why) {
  RollBackThen([self = shared_from_this(), why] {
    self->Conclude({.kind = Finished::Kind::kNo, .reason = why.message()});
  });
}

void BranchState::Conclude(Finished finished) {
  const auto self = shared_from_this();  // who is answered may let go of the branch
  if (!finished.reason.empty()) ended_reason_ = finished.reason;
  if (ended_reason_.empty()) ended_reason_ = "the branch has ended";
  lease_.reset();
  busy_ = false;
  over_.store(true, std::memory_order_release);
  finished.results = std::move(results_);
  results_.clear();
  Answer(std::move(finished));
  if (ending_ == Ending::kPrepare) core_->unanswered.End(branch_);
}

void BranchState::Answer(Finished finished) {
  if (timer_) core_->pool.Cancel(*timer_);
  timer_.reset();
  if (!done_) return;
  const FinishedCallback done = std::move(done_);
  done_ = nullptr;
  done(std::move(finished));
}

}  // namespace indoubt::pg
