// What all live transactions of one coordinator share: participants, log, runtime,
// and the register of those under way (the active set of recovery).
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "coordinator/decision_rows.h"
#include "coordinator/inside_count.h"
#include "coordinator/live_register.h"
#include "coordinator/outcome_sweep.h"
#include "coordinator/readiness.h"
#include "coordinator/retry.h"
#include "coordinator/runtime.h"
#include "participants/participant.h"
#include "recovery/decision_log.h"

namespace indoubt {

class LiveTransaction;

/// Thread-safe. Outlives every callback: its destructor ends the participants
/// first, then the log.
class Engine {
 public:
  /// More live transactions than this are refused, so that memory is bounded
  /// while a participant that is down holds decided ones up.
  static constexpr size_t kMaxLive = 16384;

  Engine(std::unique_ptr<Runtime> runtime, std::unique_ptr<DecisionLog> log,
         std::vector<std::unique_ptr<Participant>> participants, Duration apply_timeout);
  /// Stops the timer, lets no transaction act any more, ends participants and log.
  ~Engine();

  DecisionLog& log() { return *log_; }
  const DecisionLog& log() const { return *log_; }
  const std::vector<std::unique_ptr<Participant>>& participants() const {
    return participants_;
  }
  /// The position of the participant `name`; none when there is no such.
  std::optional<size_t> Position(const std::string& name) const;
  /// The last resource whose decision table has the identity `home`; null if none is here.
  LastResource* LastResourceAt(std::string_view home) const;
  /// The one that is configured, if any.
  LastResource* TheLastResource() const;
  Readiness& readiness() { return readiness_; }
  Runtime& runtime() { return *runtime_; }
  TimePoint Now() const { return runtime_->Now(); }
  Backoff& backoff() { return backoff_; }
  Duration apply_timeout() const { return apply_timeout_; }

  /// Registers a transaction; false when its gid is registered or, with
  /// `bounded`, when there are too many.
  bool Register(const std::shared_ptr<LiveTransaction>& transaction, bool bounded);
  void Unregister(const Gid& gid);
  std::vector<std::shared_ptr<LiveTransaction>> Live() const { return live_.All(); }
  size_t live_count() const { return live_.count(); }

  /// A registered transaction has a deadline at `when`, and keeps it itself: then it is
  /// asked (LiveTransaction::MeetDeadline). One timer, for the earliest of all: most
  /// transactions end long before theirs, and never touch it.
  void ArmDeadline(TimePoint when);

  /// Waits until `done()` or `deadline`. It is asked again whenever a transaction
  /// was answered or is over.
  bool WaitUntil(TimePoint deadline, const std::function<bool()>& done) {
    return runtime_->WaitUntil(deadline, done);
  }
  void Notify() { runtime_->Notify(); }

  /// A transaction may act between Enter() and Leave(); not once it returns false.
  bool Enter();
  void Leave();

  /// Keeps a transaction that is over until it has had every answer that it is owed:
  /// callbacks name it without holding it.
  void KeepUntilAnswered(std::shared_ptr<LiveTransaction> transaction);
  /// It has; whoever lets go of the result last frees it.
  std::shared_ptr<LiveTransaction> LetGo(const LiveTransaction& transaction);

  using Branches = std::vector<std::unique_ptr<Branch>>;

  /// What participants keep of an ended transaction may only go once the end
  /// record is durable: else recovery would ask them for an outcome that they have
  /// forgotten. A later commit decision's sync carries the end record with it.
  void Ended(const Gid& gid, std::vector<size_t> participants);
  /// How many have ended so far, for ForgetEnded after a decision asked for later.
  uint64_t ended() const { return ended_count_; }
  void ForgetEnded(uint64_t up_to);
  /// What is kept of ended transactions whose decision lives in a last resource.
  DecisionRows& decision_rows() { return decision_rows_; }
  /// Of recovery's passes, which do not overlap.
  OutcomeSweep& outcome_sweep() { return outcome_sweep_; }

 private:
  struct EndedTransaction {
    Gid gid;
    std::vector<size_t> participants;
  };
  /// More than this wait for no decision; the oldest are then forgotten at the
  /// participants by the next process only (OutcomeSweep).
  static constexpr size_t kMaxEnded = 65536;

  const std::unique_ptr<Runtime> runtime_;  // first: the others use it to their end
  std::unique_ptr<DecisionLog> log_;
  std::vector<std::unique_ptr<Participant>> participants_;
  const Duration apply_timeout_;
  OutcomeSweep outcome_sweep_;
  Readiness readiness_;
  Backoff backoff_;

  LiveRegister live_;
  std::mutex owed_mutex_;
  /// Guarded by owed_mutex_.
  std::unordered_map<const LiveTransaction*, std::shared_ptr<LiveTransaction>> owed_;

  // Between two looks at all deadlines, at least.
  static constexpr Duration kBetweenSweeps = std::chrono::milliseconds(1);
  void MeetDeadlines();
  std::mutex deadline_mutex_;
  std::optional<Runtime::TimerId> deadline_timer_;  // guarded by deadline_mutex_
  TimePoint last_sweep_{};                          // guarded by deadline_mutex_
  std::atomic<TimePoint> next_sweep_{TimePoint::max()};

  InsideCount acting_;
  std::atomic<bool> stopping_{false};

  std::mutex ended_mutex_;
  std::deque<EndedTransaction> ended_;        // guarded by ended_mutex_
  std::atomic<uint64_t> ended_count_{0};      // written with ended_mutex_
  std::atomic<uint64_t> forgotten_count_{0};  // written with ended_mutex_

  DecisionRows decision_rows_;
};

}  // namespace indoubt
