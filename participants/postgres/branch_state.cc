#include "participants/postgres/branch_state.h"

#include <algorithm>

#include <fmt/format.h>

#include "participants/postgres/session.h"
#include "participants/postgres/sql_text.h"
#include "participants/result_limit.h"

namespace indoubt::pg {
namespace {

// How long after the deadline the server ends what nobody else has ended.
constexpr int64_t kServerGrace = 5000;  // ms

int64_t MillisUntil(TimePoint deadline) {
  const Duration left = deadline - SystemClock().Now();
  return std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
}

/// A little before the deadline, so that the server's refusal is heard in time.
TimePoint CancelAt(TimePoint deadline) {
  const Duration left = deadline - SystemClock().Now();
  return deadline - std::clamp<Duration>(left / 5, Duration{}, std::chrono::milliseconds(100));
}

}  // namespace

void BranchState::Open(const std::vector<Statement>& statements, Step next,
                       std::function<void(Status)> fail) {
  if (!ended_reason_.empty()) return fail(Status(StatusCode::kAborted, ended_reason_));
  size_t number = statements_;
  for (const Statement& statement : statements) {
    const Status allowed = CheckStatement(statement);
    ++number;
    if (!allowed.ok()) return fail(allowed.WithContext(fmt::format("statement {}", number)));
    takes_lock_ = takes_lock_ || TakesLock(statement.text);
    // A notification is refused by the prepare, which a branch that only reads would not reach.
    may_write_ =
        may_write_ || takes_lock_ || !LooksReadOnly(statement.text) || Notifies(statement.text);
    taint_ = taint_ || MayChangeSession(statement.text);
  }
  if (SystemClock().Now() >= deadline_) {
    return fail(Status(StatusCode::kDeadlineExceeded, "the transaction's deadline has passed"));
  }
  if (lease_) return next();
  waits_for_lease_ = true;
  core_->pool.Acquire(
      Lane::kWork, deadline_,
      [self = shared_from_this(), next = std::move(next), fail = std::move(fail)](auto lease) {
        self->waits_for_lease_ = false;
        if (!lease) return fail(lease.error());
        self->lease_ = *std::move(lease);
        if (self->taint_) self->lease_->Taint();
        next();
      });
}

std::vector<Command> BranchState::OpeningCommands(bool stays_open) {
  std::vector<Command> commands;
  if (!begun_) {
    commands.push_back({.text = "BEGIN", .keep = !taint_});
    // Tells everybody who waits for its locks whose they are (lock_graph.h).
    commands.push_back(
        {.text = fmt::format("SET LOCAL application_name = '{}'", gid_.ToString())});
  }
  begun_ = true;
  if (taint_) lease_->Taint();
  // Should this machine vanish, the server lets the locks go by itself.
  const int64_t left = std::max<int64_t>(1, MillisUntil(deadline_));
  const auto limit = [&](const char* setting) {
    commands.push_back(
        {.text = fmt::format("SET LOCAL {} = {}", setting, left + kServerGrace)});
  };
  if (left + kServerGrace > kSessionLockLimit / std::chrono::milliseconds(1)) {
    limit("lock_timeout");
  }
  if (stays_open) {
    limit("statement_timeout");
    limit("idle_in_transaction_session_timeout");
  }
  return commands;
}

void BranchState::Run(std::vector<Command> commands, ScriptCallback done) {
  core_->waits.Run(lease_, gid_, std::move(commands),
                   {.cancel = CancelAt(deadline_), .close = limit()}, std::move(done));
}

void BranchState::AddStatements(const std::vector<Statement>& statements,
                                std::vector<Command>& commands) {
  for (const Statement& statement : statements) {
    commands.push_back({.text = statement.text,
                        .params = statement.params,
                        .bounded = true,
                        .keep = !taint_ && MayBeKept(statement.text)});
  }
}

Status BranchState::TakeStatementReplies(ScriptReply& reply, size_t first,
                                         const std::vector<Statement>& statements) {
  const size_t end = first + statements.size();
  if (reply.replies.empty()) {
    return Status(StatusCode::kUnavailable, "connection lost: " + reply.lost_reason);
  }
  const std::optional<size_t> error = reply.FirstError();
  if (error && *error < first) {
    return Status(StatusCode::kAborted, reply.replies[*error].message);
  }
  if (error && *error < end) {
    return Status(StatusCode::kAborted,
                  fmt::format("statement {}: {}", statements_ + (*error - first) + 1,
                              reply.replies[*error].message));
  }
  for (size_t i = 0; i < statements.size(); ++i) {
    Reply& answer = reply.replies.at(first + i);
    if (answer.kind != Reply::Kind::kDone) {
      return Status(StatusCode::kUnavailable, "connection lost: " + reply.lost_reason);
    }
    ++statements_;
    result_bytes_ += SizeInMemory(answer.result);
    if (answer.too_big || result_bytes_ > kMaxResultBytes) {
      return Status(StatusCode::kAborted,
                    fmt::format("statement {}: {}", statements_, kTooManyResults));
    }
    const std::optional<int64_t> expected = statements[i].expect_rows;
    if (expected && answer.result.rows != expected) {
      return Status(StatusCode::kAborted,
                    fmt::format("statement {}: touched {} rows, {} expected", statements_,
                                answer.result.rows ? std::to_string(*answer.result.rows) : "no",
                                *expected));
    }
    results_.push_back(std::move(answer.result));
  }
  return Status::Ok();
}

void BranchState::RollBackThen(Step next) {
  if (!lease_ || !lease_->InTransaction()) {
    lease_.reset();
    return next();
  }
  lease_->Run({Command{.text = "ROLLBACK"}}, limit(),
              [self = shared_from_this(), next = std::move(next)](const ScriptReply&) {
                self->lease_.reset();
                next();
              });
}

void BranchState::Work(std::vector<Statement> statements, WorkCallback done) {
  const auto self = shared_from_this();
  work_done_ = std::move(done);
  busy_ = true;
  timer_ = core_->pool.At(deadline_, [self] {
    self->timer_.reset();
    self->ended_reason_ = self->waits_for_lease_
                              ? self->core_->pool.NoneFree()
                              : "the transaction's deadline passed during its work";
    self->AnswerWork(Status(StatusCode::kDeadlineExceeded, self->ended_reason_));
  });
  const auto fail = [self](const Status& why) {
    self->ended_reason_ = why.message();
    self->RollBackThen([self, why] {
      self->busy_ = false;
      self->AnswerWork(why);
    });
  };
  const auto shared = std::make_shared<std::vector<Statement>>(std::move(statements));
  Open(
      *shared,
      [self, shared] {
        std::vector<Command> commands = self->OpeningCommands(/*stays_open=*/true);
        const size_t opening = commands.size();
        self->AddStatements(*shared, commands);
        self->Run(std::move(commands), [self, shared, opening](auto reply) {
          self->OnWorked(std::move(reply), opening, *shared);
        });
      },
      fail);
}

void BranchState::OnWorked(ScriptReply reply, size_t opening,
                           const std::vector<Statement>& statements) {
  const size_t before = results_.size();
  Status status = TakeStatementReplies(reply, opening, statements);
  if (status.ok() && reply.lost) {
    status = Status(StatusCode::kUnavailable, "connection lost: " + reply.lost_reason);
  }
  if (status.ok() && work_done_ && !abandoned_) {
    busy_ = false;
    return AnswerWork(std::vector<StatementResult>(
        results_.begin() + static_cast<std::ptrdiff_t>(before), results_.end()));
  }
  // Failed, or too late: the caller was told that it is over.
  if (ended_reason_.empty()) ended_reason_ = status.ok() ? "abandoned" : status.message();
  RollBackThen([self = shared_from_this(), status] {
    self->busy_ = false;
    self->AnswerWork(status.ok() ? Status(StatusCode::kAborted, "abandoned") : status);
  });
}

void BranchState::AnswerWork(Result<std::vector<StatementResult>> result) {
  if (timer_) core_->pool.Cancel(*timer_);
  timer_.reset();
  if (!work_done_) return;
  const WorkCallback done = std::move(work_done_);
  work_done_ = nullptr;
  done(std::move(result));
}

void BranchState::Abandon() {
  abandoned_ = true;
  if (!busy_) lease_.reset();
}

}  // namespace indoubt::pg
