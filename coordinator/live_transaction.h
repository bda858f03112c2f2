// One transaction under way: carries events into its state machine and does the
// actions that come out, one after another (a strand), on whatever thread brought
// the event. No thread of its own and no wait.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/engine.h"
#include "coordinator/transaction.h"
#include "participants/last_resource.h"

namespace indoubt {

/// One participant's part, by position in the transaction.
struct BranchWork {
  size_t participant = 0;  // its position in the engine
  std::vector<Statement> statements;
  std::vector<size_t> positions;  // of the statements in the request
};

/// What a request asks for beside its statements; as in TransactionRequest.
struct RequestTraits {
  std::string request_id;
  AnswerWhen answer_when = AnswerWhen::kApplied;
  std::function<Status(const std::string& gid)> before_prepare;
  std::function<void(const TransactionOutcome&)> after_completion;
};

/// Thread-safe. Shared between the engine's register and the callbacks that it has
/// handed out; whoever is last frees it.
class LiveTransaction : public std::enable_shared_from_this<LiveTransaction> {
 public:
  /// A new transaction. `done` is called once, within the strand.
  static std::shared_ptr<LiveTransaction> New(Engine& engine, const Gid& gid,
                                              std::vector<BranchWork> work, TimePoint began,
                                              std::vector<std::string> warnings,
                                              RequestTraits traits, OutcomeCallback done);
  /// One that recovery re-enters in the same state machine. Every participant must
  /// be among the engine's (checked).
  static std::shared_ptr<LiveTransaction> Recovered(Engine& engine, Transaction machine);

  /// Starts it; a new one times out at `deadline` unless decided. Call once, after
  /// it was registered.
  void Start(TimePoint deadline);
  /// Gives the callback back, of one that is not started after all.
  OutcomeCallback TakeCallback() { return std::move(done_); }
  /// Aborts it, unless its decision is asked for already or it was recovered.
  void GiveUp(const std::string& reason);
  /// Retries that wait for their back-off happen now.
  void Nudge();
  /// From now on it does nothing and answers nobody: a person decided otherwise. It
  /// leaves the register. Call it outside of callbacks only.
  void Supersede();
  /// Lets go of branches, when the engine ends.
  void Abandon();

  const Gid& gid() const { return gid_; }
  bool recovered() const { return recovered_; }

  /// A copy of the state, for people and for recovery's report.
  Transaction Snapshot() const;
  bool answered() const;

 private:
  struct Part {
    size_t participant = 0;
    std::string name;
    std::unique_ptr<Branch> branch;
    std::vector<Statement> statements;
    std::vector<size_t> positions;
    std::vector<StatementResult> results;   // guarded by mutex_
    std::optional<Runtime::TimerId> retry;  // guarded by mutex_
    bool busy = false;                      // guarded by mutex_; the branch owes an answer
  };

  LiveTransaction(Engine& engine, Transaction machine, bool recovered);

  void Post(Event event);
  void RunStrand();
  void PostAt(TimePoint when, Event event);
  void PostLater(Event event);

  void Do(const AskPrepare& ask);
  void Do(const AskOnePhase& ask);
  void Do(const AskLastResource& ask);
  void Do(const AskDecision& ask);
  void Do(const Propose& propose);
  void Do(const TellCommit& tell);
  void Do(const TellRollback& tell);
  void Do(const StoreHeuristic& store);
  void Do(const WriteEnd& end);
  void Do(const Answer& answer);
  void Do(const Release& release);

  void Work(size_t part, std::function<void(Status)> then);
  void SendPrepare(size_t part, std::vector<Statement> last);
  void SendOnePhase(size_t part, std::vector<Statement> last);
  void SendLastResource(const AskLastResource& ask, std::vector<Statement> last);
  void OnLastResource(size_t part, OnePhaseReply reply);
  void SendAsk();
  void OnDecided(DecisionOutcome outcome, std::string reason, uint64_t ended_before);
  void TellAfterBackoff(size_t part, int attempt, bool commit);
  void Tell(size_t part, bool commit);
  void OnTold(size_t part, bool commit, Ack ack);
  void SetBusy(size_t part);
  void KeepReply(size_t part, std::vector<StatementResult> results);
  void SetCallerTimer(TimePoint when, Event event);
  const std::string& NameOf(size_t part) const { return parts_[part].name; }
  /// Passes the fail point and the caller's hook that come before anything else.
  Status MayBegin() const;
  TransactionOutcome OutcomeOf(const Answer& answer) const;  // without results
  /// Passes a fail point of the whole transaction.
  Status PassPoint(const char* point) const;
  const char* PointName(bool before, bool commit) const;

  Engine& engine_;
  const Gid gid_;
  const bool recovered_;
  TimePoint began_{};
  std::vector<Part> parts_;
  LastResourceBranch* last_branch_ = nullptr;  // of one of parts_, that of the last resource
  std::vector<std::string> warnings_;
  RequestTraits traits_;
  bool lone_ = false;  // its participant decides by itself
  OutcomeCallback done_;

  mutable std::mutex mutex_;
  Transaction machine_;       // guarded by mutex_
  std::vector<Event> inbox_;  // guarded by mutex_; few: one a participant
  bool running_ = false;      // guarded by mutex_; somebody is in the strand
  bool superseded_ = false;   // guarded by mutex_
  std::optional<Runtime::TimerId> caller_timer_;  // guarded by mutex_
  std::optional<Runtime::TimerId> ask_retry_;     // guarded by mutex_
};

}  // namespace indoubt
