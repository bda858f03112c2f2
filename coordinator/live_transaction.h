// One transaction under way: carries events into its state machine and does the
// actions that come out, one after another (a strand), on whatever thread brought
// the event. No thread of its own and no wait.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/failpoint.h"
#include "coordinator/engine.h"
#include "coordinator/transaction.h"
#include "participants/last_resource.h"

namespace indoubt {

/// One participant's part, by position in the transaction.
struct BranchWork {
  size_t participant = 0;  // its position in the engine
  std::vector<Statement> statements;
};

/// A request by participant.
struct SplitRequest {
  std::vector<BranchWork> parts;
  std::vector<uint32_t> part_of;  // of each statement, in the request's order
};

/// What a request asks for beside its statements; as in TransactionRequest.
struct RequestTraits {
  RequestName request;
  AnswerWhen answer_when = AnswerWhen::kApplied;
  std::function<Status(const std::string& gid)> before_prepare;
  std::function<void(const TransactionOutcome&)> after_completion;
};

/// Thread-safe. Shared between the engine's register and the callbacks that it has
/// handed out; whoever is last frees it.
class LiveTransaction : public std::enable_shared_from_this<LiveTransaction> {
  struct OnlyHere {};

 public:
  /// For New and Recovered.
  LiveTransaction(OnlyHere, Engine& engine, Transaction machine, bool recovered);

  /// A new transaction. `done` is called once, within the strand.
  static std::shared_ptr<LiveTransaction> New(Engine& engine, const Gid& gid,
                                              SplitRequest request, TimePoint began,
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
  /// Does what is due when its deadline is over. The deadline that it waits for next
  /// and has not armed since; TimePoint::max() for none.
  TimePoint MeetDeadline(TimePoint now);
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
    std::vector<Statement> statements;
    std::vector<StatementResult> results;   // written once, with its branch's last answer
    size_t taken = 0;                       // of the results, given away
    std::optional<Runtime::TimerId> retry;  // guarded by mutex_
    std::atomic<bool> busy{false};          // the branch owes an answer
  };
  /// What its deadline means.
  enum class Deadline {
    kNone,
    kDecision,  // until the decision
    kCaller,    // until the caller is told what there is
  };

  // Callbacks that are handed out with every transaction name it without holding it
  // (what is no larger than two words needs no memory): Owe() before, and the answer
  // through PostOwed. The register keeps the transaction, and the engine after it.
  void Owe() { owed_.fetch_add(1, std::memory_order_relaxed); }
  /// The same for work that a timer or an earlier answer starts: false, and nothing is
  /// owed, once the transaction is over or superseded. Nobody keeps it then.
  bool OweUnlessOver();
  /// The branch, for a call whose answer is owed from now on; null likewise.
  Branch* OwedBranch(size_t part);
  template <typename Specific>
  void PostOwed(Specific event) {
    Bring(std::move(event), /*owed=*/true);
  }
  template <typename Specific>
  void Post(Specific event) {
    Bring(std::move(event), /*owed=*/false);
  }
  /// Most come from within the strand, and are made in their place there: moving one that
  /// may hold anything costs as much as the machine's step.
  template <typename Specific>
  void Bring(Specific&& event, bool owed) {
    if (!InStrand()) {
      Event whole(std::move(event));
      return Deliver(&whole, owed);
    }
    if (owed) owed_.fetch_sub(1, std::memory_order_relaxed);
    own_.emplace_back(std::move(event));
  }
  /// An answer that was owed is there, and brings no event.
  void SettleOwed() {
    if (!InStrand()) return Deliver(nullptr, /*owed=*/true);
    owed_.fetch_sub(1, std::memory_order_relaxed);
  }
  void Deliver(Event* event, bool owed);
  bool InStrand() const { return runner_.load(std::memory_order_relaxed) == ThisThread(); }
  /// An address of the calling thread's own.
  static const void* ThisThread();
  void RunStrand(std::unique_lock<std::mutex> lock);
  TimePoint StepTime();
  void PostAt(TimePoint when, Event event);
  void PostLater(Event event);

  void Do(const AskPrepare& ask);
  void Do(const AskOnePhase& ask);
  void Do(const AskLastResource& ask);
  void Do(const AskDecision& ask);
  void Do(Propose& propose);
  void Do(const TellCommit& tell);
  void Do(const TellRollback& tell);
  void Do(const StoreHeuristic& store);
  void Do(const WriteEnd& end);
  void Do(const Answer& answer);
  void Do(const Release& release);

  void Work(size_t part, std::function<void(Status)> then);
  void SendPrepare(size_t part, std::vector<Statement> last);
  void SendOnePhase(size_t part, std::vector<Statement> last);
  void OnOnePhase(size_t part, OnePhaseReply&& reply);
  void SendLastResource(const AskLastResource& ask, std::vector<Statement> last);
  void OnLastResource(size_t part, OnePhaseReply&& reply);
  void SendAsk();
  void OnPrepared(size_t part, PrepareReply&& reply);
  void OnDecided(DecisionOutcome outcome, const Status& why, uint64_t ended_before);
  void TellAfterBackoff(size_t part, int attempt, bool commit);
  void Tell(size_t part, bool commit);
  void OnTold(size_t part, bool commit, Ack&& ack);
  void KeepReply(size_t part, std::vector<StatementResult> results);
  void BeginBranches(TimePoint deadline);
  void SetDeadline(TimePoint when, Deadline meaning);
  std::vector<StatementResult> TakeResults();
  const std::string& NameOf(size_t part) const {
    return engine_.participants()[parts_[part].participant]->name();
  }
  /// Passes the fail point and the caller's hook that come before anything else.
  Status MayBegin() const;
  TransactionOutcome OutcomeOf(const Answer& answer);  // without results
  /// Passes a fail point of the whole transaction, or of one part.
  Status PassPoint(std::string_view point) const {
    return FailPointIsArmed(point) ? PassArmedPoint(point) : Status::Ok();
  }
  Status PassPoint(std::string_view point, size_t part) const {
    return FailPointIsArmed(point) ? HitFailPoint(point, NameOf(part)) : Status::Ok();
  }
  Status PassArmedPoint(std::string_view point) const;
  std::string_view PointName(bool before, bool commit) const;

  Engine& engine_;
  const Gid gid_;
  const bool recovered_;
  TimePoint began_{};
  std::vector<Part> parts_;
  Engine::Branches branches_;                  // of the parts; none of a recovered transaction
  LastResourceBranch* last_branch_ = nullptr;  // of one of branches_, the last resource's
  std::vector<uint32_t> part_of_;              // of each statement, in the request's order
  std::vector<std::string> warnings_;
  RequestTraits traits_;
  bool lone_ = false;  // its participant decides by itself
  OutcomeCallback done_;

  // Of whoever is in the strand.
  std::vector<Event> own_;                    // brought by itself, or by whoever entered
  std::vector<Action> actions_;               // of the events in hand
  std::optional<TimePoint> step_time_;        // once asked for, of these actions
  std::string forced_abort_;                  // why a commit is not even proposed
  std::atomic<const void*> runner_{nullptr};  // the thread, by an address of its own

  std::atomic<uint32_t> owed_{0};        // answers
  std::atomic<size_t> result_bytes_{0};  // of the results that came with votes

  mutable std::mutex mutex_;
  Transaction machine_;                        // guarded by mutex_
  std::vector<Event> inbox_;                   // guarded by mutex_; while somebody is in it
  bool running_ = false;                       // guarded by mutex_; somebody is in the strand
  bool released_ = false;                      // guarded by mutex_; over
  std::atomic<bool> superseded_{false};        // written with mutex_
  Deadline deadline_ = Deadline::kNone;        // guarded by mutex_
  TimePoint due_ = TimePoint::max();           // guarded by mutex_
  std::optional<Runtime::TimerId> ask_retry_;  // guarded by mutex_
};

}  // namespace indoubt
