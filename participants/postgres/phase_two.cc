#include "participants/postgres/phase_two.h"

#include <fmt/format.h>

namespace indoubt::pg {
namespace {

constexpr std::string_view kUndefinedObject = "42704";  // no such prepared transaction

/// One attempt; answers its caller once, at the deadline at the latest.
class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(std::shared_ptr<Core> core, SecondPhase decision, std::string branch, Token token,
          TimePoint deadline, AckCallback done)
      : core_(std::move(core)),
        decision_(decision),
        branch_(std::move(branch)),
        token_(std::move(token)),
        deadline_(deadline),
        done_(std::move(done)) {}

  void Start() {
    // A rollback must not overtake its branch's own prepare.
    const auto self = shared_from_this();
    timer_ = core_->pool.At(deadline_, [self] {
      self->timer_.reset();
      self->Answer({AckKind::kRetry, "no answer from PostgreSQL in time"});
    });
    const bool waits = decision_ == SecondPhase::kRollback &&
                       core_->unanswered.RunAfter(branch_, [self] { self->Acquire(); });
    if (!waits) Acquire();
  }

 private:
  void Acquire() {
    if (!done_) return;
    core_->pool.Acquire(Lane::kPhaseTwo, deadline_, [self = shared_from_this()](auto lease) {
      if (!lease) return self->Answer({AckKind::kRetry, lease.error().message()});
      self->lease_ = *std::move(lease);
      self->Send();
    });
  }

  void Send() {
    const std::string_view verb = decision_ == SecondPhase::kCommit ? "COMMIT" : "ROLLBACK";
    lease_->Run(
        {Command{.text = fmt::format("{} PREPARED '{}'", verb, branch_)}},
        deadline_ + kAnswerGrace,
        [self = shared_from_this()](const ScriptReply& reply) { self->OnReply(reply); });
  }

  void OnReply(const ScriptReply& reply) {
    const Reply& answer = reply.replies.empty() ? Reply{} : reply.replies.front();
    if (answer.kind == Reply::Kind::kDone) return Answer({AckKind::kDone, ""});
    if (answer.kind == Reply::Kind::kSkipped)
      return Answer({AckKind::kRetry, reply.lost_reason});
    if (answer.sqlstate != kUndefinedObject || reply.lost) {
      return Answer({AckKind::kRetry, answer.message});
    }
    if (token_.empty()) return Answer(AckWithoutBranch(decision_, token_, Fate::kNoAnswer));
    lease_->Run({AskFate(token_)}, deadline_ + kAnswerGrace,
                [self = shared_from_this()](const ScriptReply& fate) {
                  self->Answer(AckWithoutBranch(self->decision_, self->token_, FateFrom(fate)));
                });
  }

  void Answer(Ack ack) {
    if (timer_) core_->pool.Cancel(*timer_);
    timer_.reset();
    // While a command still runs the lease stays: the script's own limit ends it.
    if (done_ == nullptr) {
      lease_.reset();
      return;
    }
    const AckCallback done = std::move(done_);
    done_ = nullptr;
    if (SystemClock().Now() < deadline_) lease_.reset();
    done(std::move(ack));
  }

  const std::shared_ptr<Core> core_;
  const SecondPhase decision_;
  const std::string branch_;
  const Token token_;
  const TimePoint deadline_;
  AckCallback done_;
  std::optional<TimerKey> timer_;
  std::shared_ptr<Lease> lease_;
};

}  // namespace

Command AskFate(const Token& token) {
  return Command{.text = "SELECT pg_catalog.pg_xact_status($1::xid8)",
                 .params = {Value{std::string(token)}}};
}

Fate FateFrom(const ScriptReply& reply) {
  if (reply.replies.empty()) return Fate::kNoAnswer;
  const Reply& answer = reply.replies.front();
  if (answer.kind == Reply::Kind::kError && answer.sqlstate == "22023") return Fate::kInFuture;
  if (answer.kind != Reply::Kind::kDone || answer.result.values.size() != 1) {
    return Fate::kNoAnswer;
  }
  const auto* row = std::get_if<std::vector<Value>>(&answer.result.values.front().held);
  if (row == nullptr || row->size() != 1) return Fate::kNoAnswer;
  const auto* status = std::get_if<std::string>(&row->front().held);
  if (status == nullptr) return Fate::kTooOld;
  if (*status == "committed") return Fate::kCommitted;
  if (*status == "aborted") return Fate::kAborted;
  return *status == "in progress" ? Fate::kInProgress : Fate::kNoAnswer;
}

Ack AckWithoutBranch(SecondPhase decision, const Token& token, Fate fate) {
  if (decision == SecondPhase::kRollback) {
    // Not there is what a rollback wants, unless somebody committed it.
    if (fate == Fate::kCommitted) {
      return {
          AckKind::kHeuristic,
          fmt::format("the branch (transaction {}) was committed by somebody else while its "
                      "decision was to roll back",
                      token)};
    }
    if (fate == Fate::kInProgress || (fate == Fate::kNoAnswer && !token.empty())) {
      return {AckKind::kRetry, "the branch is not prepared, and its fate is not known yet"};
    }
    return {AckKind::kDone, ""};
  }
  if (token.empty()) {
    return {AckKind::kHeuristic,
            "the branch is not there, and without its token nobody can tell how it ended"};
  }
  switch (fate) {
    case Fate::kCommitted:
      return {AckKind::kDone, ""};
    case Fate::kAborted:
      return {
          AckKind::kHeuristic,
          fmt::format("the branch (transaction {}) was rolled back by somebody else", token)};
    case Fate::kTooOld:
      return {AckKind::kHeuristic,
              fmt::format("the branch is not there and transaction {} is too old for "
                          "pg_xact_status: how it ended cannot be told",
                          token)};
    case Fate::kInFuture:
      return {AckKind::kHeuristic,
              fmt::format("the branch is not there and transaction {} lies in the server's "
                          "future: its data are older than the vote (a restored backup?)",
                          token)};
    case Fate::kInProgress:
    case Fate::kNoAnswer:
      return {AckKind::kRetry, "the branch is not prepared, and its fate is not known yet"};
  }
  return {AckKind::kRetry, ""};
}

void Decide(const std::shared_ptr<Core>& core, SecondPhase decision, const std::string& branch,
            const Token& token, TimePoint deadline, AckCallback done) {
  std::make_shared<Attempt>(core, decision, branch, token, deadline, std::move(done))->Start();
}

}  // namespace indoubt::pg
