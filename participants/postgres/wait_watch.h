// Bounded waits: for locks (wait-die), and for the deadline.
//
// Stores cannot see each other's locks, so two
// transactions that lock two stores in opposite order would hold each other up until
// their deadlines. A branch that waits here for an older transaction therefore gives
// way: its statement is cancelled and its vote is no. An older one waits on.
//
// Only when a script has had no answer for a while the server is asked who waits for
// whom, once for all that wait; otherwise there is no query.
//
// A script that has no answer when its time is up is cancelled too. A statement_timeout would
// do the same, for a command more in every transaction.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "participants/postgres/lock_graph.h"
#include "participants/postgres/pool.h"

namespace indoubt::pg {

/// The pool's thread only.
class WaitWatch {
 public:
  /// `pool` must outlive it.
  explicit WaitWatch(Pool& pool) : pool_(pool) {}

  /// How long a script of a branch may run, and what then happens to it.
  struct Limits {
    TimePoint cancel;  // its statement is cancelled, which leaves time for a clean no
    TimePoint close;   // its connection is closed
  };
  /// Lease::Run for a script of `gid`'s branch that may wait for locks and has set gid
  /// as its application_name. When it had to give way, the reply of the statement that
  /// waited is an error whose message names the older transaction.
  void Run(const std::shared_ptr<Lease>& lease, const Gid& gid, std::vector<Command> commands,
           const Limits& limits, ScriptCallback done);

 private:
  struct Script {
    std::shared_ptr<Lease> lease;  // shared with the branch: it must stay out on loan
    Gid gid;
    TimePoint started{};
    ScriptCallback done;
    TimerKey time_up{};
    std::optional<Gid> in_the_way{};  // what it had to give way to when last looked at
    bool being_cancelled = false;
    bool time_is_up = false;
    std::optional<Gid> gave_way_to{};
    std::optional<ScriptReply> reply{};  // came while being cancelled
  };
  struct Victim {
    int pid = 0;
    std::optional<Gid> holder{};  // that it waits for; none: its time is up
  };

  void Arm(TimePoint when);
  void TimeIsUp(int pid);
  void Look();
  void Ask();
  void Judge(const std::shared_ptr<Lease>& lease, const LockGraph& graph);
  void CancelAll(const std::shared_ptr<Lease>& lease, const std::vector<Victim>& victims);
  void OnReply(int pid, ScriptReply reply);
  void OnCancelled(const Victim& victim, const Reply& answer);
  void End(int pid, ScriptReply reply);

  Pool& pool_;
  std::unordered_map<int, Script> scripts_;  // under way, by backend pid
  bool armed_ = false;                       // a timer or a question is under way
};

}  // namespace indoubt::pg
