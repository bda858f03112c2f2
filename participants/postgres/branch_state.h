// The life of a branch on the pool's thread. A failed step ends it: its work is
// rolled back before the caller hears of it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "participants/decision.h"
#include "participants/postgres/core.h"
#include "participants/postgres/phase_two.h"

namespace indoubt::pg {

enum class Ending {
  kPrepare,
  kCommit,  // in one phase
  kDecide,  // commit with the decision row
};

struct Finished {
  enum class Kind { kDone, kReadOnly, kNo, kUnknown } kind = Kind::kUnknown;
  Token token{};
  std::string reason{};
  std::vector<StatementResult> results{};
};
using FinishedCallback = std::function<void(Finished)>;

class BranchState : public std::enable_shared_from_this<BranchState> {
 public:
  BranchState(std::shared_ptr<Core> core, const Gid& gid, TimePoint deadline)
      : core_(std::move(core)),
        gid_(gid),
        branch_(BranchId{gid, core_->name}.ToString()),
        deadline_(deadline) {}

  void Work(std::vector<Statement> statements, WorkCallback done);
  void Finish(Ending ending, std::vector<Statement> last, FinishedCallback done);
  /// Finish with kDecide; the row names `others`.
  void Decide(std::vector<Statement> last, std::vector<BranchRecord> others,
              FinishedCallback done);
  /// The owner let go of it.
  void Abandon();
  /// Whether it holds nothing that Abandon would have to let go. Any thread.
  bool over() const { return over_.load(std::memory_order_acquire); }

 private:
  using Step = std::function<void()>;
  /// Checks the statements and gets a connection, then `next`; `fail` with why not.
  void Open(const std::vector<Statement>& statements, Step next,
            std::function<void(Status)> fail);
  std::vector<Command> OpeningCommands(bool stays_open);
  /// Runs a script that may wait for locks.
  void Run(std::vector<Command> commands, ScriptCallback done);
  void AddStatements(const std::vector<Statement>& statements, std::vector<Command>& commands);
  /// Why the statements' replies (from `first` on) end the branch; collects results.
  Status TakeStatementReplies(ScriptReply& reply, size_t first,
                              const std::vector<Statement>& statements);
  /// Rolls back what the session holds and lets it go, then `next`.
  void RollBackThen(Step next);

  void OnWorked(ScriptReply reply, size_t opening, const std::vector<Statement>& statements);
  void AnswerWork(Result<std::vector<StatementResult>> result);

  void SendLast(std::vector<Statement> last);
  void OnLast(ScriptReply reply, size_t opening, const std::vector<Statement>& last,
              bool with_final);
  void TakeBack(const ScriptReply& reply, size_t index, const Status& why);
  void SendFinal();
  void OnFinal(const ScriptReply& reply, size_t index);
  void EndReadOnly(bool serializable);
  void EndPreparedReadOnly();
  void SettleCommit();
  /// The whole thing is over: answers if nobody did, and lets rollbacks go.
  void Conclude(Finished finished);
  void Refuse(const Status& why);
  void Answer(Finished finished);
  TimePoint limit() const { return deadline_ + kAnswerGrace; }

  const std::shared_ptr<Core> core_;  // outlives the lease
  const Gid gid_;
  const std::string branch_;  // the prepared transaction's name
  const TimePoint deadline_;
  std::shared_ptr<Lease> lease_;
  bool waits_for_lease_ = false;
  bool begun_ = false;
  bool busy_ = false;       // a call is under way
  bool abandoned_ = false;  // the owner is gone
  std::atomic<bool> over_{false};
  bool may_write_ = false;
  bool takes_lock_ = false;
  bool taint_ = false;
  std::string ended_reason_;  // not empty: a step failed
  std::vector<StatementResult> results_;
  size_t result_bytes_ = 0;  // of results_
  size_t statements_ = 0;    // of the whole branch, to number them in messages

  WorkCallback work_done_;
  Ending ending_ = Ending::kPrepare;
  std::vector<BranchRecord> others_;  // with kDecide
  FinishedCallback done_;
  std::optional<TimerKey> timer_;
  bool final_sent_ = false;
  TimePoint final_sent_at_{};
  Token xid_;
};

}  // namespace indoubt::pg
