// The one implementation of Coordinator: takes requests in, keeps participants
// checked, and runs recovery in the background.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/coordinator.h"
#include "coordinator/engine.h"
#include "coordinator/live_transaction.h"
#include "coordinator/recovery_pass.h"
#include "coordinator/request_register.h"

namespace indoubt {

/// Lets one recovery pass, or one person who decides, act at a time. Thread-safe.
class PassGate {
 public:
  /// Whether the caller may run a pass now, after waiting until `deadline` at most;
  /// if so it has to Close(), which lets in the next that waits in `runtime`.
  bool Open(Runtime& runtime, TimePoint deadline);
  void Close(Runtime& runtime);

 private:
  std::atomic<bool> open_{false};
};

/// Thread-safe.
class LiveCoordinator : public Coordinator {
 public:
  LiveCoordinator(std::unique_ptr<Runtime> runtime, CoordinatorOptions options,
                  std::unique_ptr<DecisionLog> log,
                  std::vector<std::unique_ptr<Participant>> participants);
  ~LiveCoordinator() override;

  /// First preflights, then what EmptyLog says of a log that is not accepted.
  Status Open();

  void Execute(TransactionRequest request, OutcomeCallback done) override;
  Result<RecoveryReport> Recover(TimePoint deadline, std::optional<LogId> adopt) override;
  Result<TransactionList> List(TimePoint deadline) override;
  Result<TransactionList> Show(const Gid& gid, TimePoint deadline) override;
  Result<TransactionList> Resolve(const ResolveRequest& request, TimePoint deadline) override;
  Status Forget(const Gid& gid, const OperatorTrace& by) override;
  LoggedState Find(const Gid& gid) const override { return engine_.log().Find(gid); }
  void GiveUp(const std::string& reason) override;
  void Drain(TimePoint deadline) override;
  bool accepted_empty_log() const override { return accepted_empty_log_; }
  Status health() const override { return engine_.log().health(); }

 private:
  void ExecuteNew(TransactionRequest request, RequestName name, TimePoint began,
                  OutcomeCallback done);
  /// A request with an id.
  void ExecuteOnce(TransactionRequest request, OutcomeCallback done);
  /// What the log knows of the request's id: the outcome when it is the same request's, a
  /// refusal when it is another's; none when it knows nothing.
  std::optional<TransactionOutcome> AnswerFromLog(const RequestName& name,
                                                  AnswerWhen answer_when) const;
  /// What became of the commit that an earlier request asked for.
  TransactionOutcome OutcomeOfRequest(const Gid& gid, AnswerWhen answer_when) const;
  /// Sorts the statements by participant; names an unknown one.
  Result<SplitRequest> Split(TransactionRequest& request) const;
  /// Where the decision of a transaction over `work` will live (Gid::home).
  std::string HomeFor(const std::vector<BranchWork>& work) const;
  /// Whether this coordinator and the participants of `work` can take it on.
  Status Admit(const std::vector<BranchWork>& work, std::vector<std::string>& warnings);
  Result<RecoveryReport> RecoverAlone(TimePoint deadline, const std::optional<LogId>& adopt);
  /// What there is to be settled; an error when it must not be.
  struct Found;
  Result<Found> FindForPerson(const ResolveRequest& request, TimePoint deadline);
  Status MayResolve(const ResolveRequest& request, const Found& found) const;
  Status RecordForPerson(const ResolveRequest& request, const Found& found);
  Result<std::shared_ptr<LiveTransaction>> EnterForPerson(const ResolveRequest& request,
                                                          const Found& found);
  /// Whether no branch of `gid` waits for the commit that a person decided.
  Status CheckApplied(const Gid& gid);
  /// `gid` as `machine` has it, with what the log keeps of it for people. Without a
  /// machine and without that it has ended as a commit.
  TransactionView ViewOf(const Gid& gid, const std::optional<Transaction>& machine) const;
  /// RunRecoveryPass with what this coordinator knows; while the gate is open.
  Result<PassResult> RunPass(TimePoint deadline, const std::optional<LogId>& adopt);
  Status GuardEmptyLog();
  Status RefuseForeignBranches(TimePoint deadline);
  /// Blocks until the log has done what `ask` asked of it, for 10 s at most.
  Status AskLog(const std::string& what, const std::function<void(LogCallback)>& ask);
  void ForgetTheLast();
  /// Checks participants and runs a recovery pass, if due; when it wants to run next.
  TimePoint Maintain();
  TimePoint NextMaintenance() const;
  void CheckSoon();

  const CoordinatorOptions options_;
  std::atomic<uint64_t> next_number_{1};
  std::atomic<bool> draining_{false};
  bool accepted_empty_log_ = false;       // written by Open only
  std::atomic<int64_t> longest_timeout_;  // nanoseconds; bounds the wait at the end

  PassGate recovering_;
  RequestRegister requests_;
  uint64_t numbers_at_last_pass_ = 1;  // while the gate is open

  std::atomic<bool> check_wanted_{false};
  TimePoint next_pass_{}, next_check_{}, next_full_check_{};  // of maintenance only

  Engine engine_;  // last: it ends first, and its participants' last answers use the others
};

/// Coordinator::Start on another runtime than the machine.
Result<std::unique_ptr<Coordinator>> StartCoordinator(
    std::unique_ptr<Runtime> runtime, CoordinatorOptions options,
    std::unique_ptr<DecisionLog> log, std::vector<std::unique_ptr<Participant>> participants);

}  // namespace indoubt
