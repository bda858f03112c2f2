// The bounded pool of connections and the one thread that runs them all: an event
// loop over nonblocking sockets, with timers, and with two lanes of waiters. Some
// connections are kept for the second phase, so that commits never wait behind work
// that is itself blocked by what they would release.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "participants/postgres/connection.h"
#include "participants/postgres/session.h"

namespace indoubt::pg {

class Pool;

using ScriptCallback = std::function<void(ScriptReply)>;
using TimerKey = std::pair<TimePoint, uint64_t>;

enum class Lane { kPhaseTwo, kWork };

/// A connection on loan; the destructor gives it back. Before it is lent again the pool ends
/// its transaction, and after work takes back what that has changed in the session, unless that
/// has been done (CleanAfterNext); a session that cannot be cleaned is closed. Used on the
/// pool's thread only; after the pool has stopped it may be destroyed anywhere.
class Lease {
 public:
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  /// Runs one script. When it has no end by `limit`, the connection is closed and
  /// the script ends as lost. One at a time.
  void Run(std::vector<Command> commands, TimePoint limit, ScriptCallback done);
  /// Run for one command that is not to meet what the branch has left in its session (a role,
  /// a timeout): cleans that first, in the same round trip. Not in a transaction.
  void RunCleaned(Command command, TimePoint limit, ScriptCallback done);
  /// The next script is the last of its branch, and ends its transaction: what is to clean the
  /// session goes out with it, and its answer is nobody's concern.
  void CleanAfterNext();
  bool InTransaction() const;
  /// Not to be used again by others.
  void Taint();
  /// The connection's server process; 0 when the connection is broken.
  int backend_pid() const;
  /// When the connection was established.
  TimePoint established() const;

 private:
  friend class Pool;
  Lease(Pool& pool, uint64_t slot, Lane lane) : pool_(pool), slot_(slot), lane_(lane) {}
  Pool& pool_;
  const uint64_t slot_;
  const Lane lane_;
};

using LeaseCallback = std::function<void(Result<std::shared_ptr<Lease>>)>;

class Pool {
 public:
  /// `prepares`: sessions must be able to prepare.
  Pool(ConnectionString where, int max_connections, bool prepares);
  /// Stops.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Ends the thread: everything waiting or running is answered first.
  void Stop();
  /// Runs `task` on the pool's thread, in order. False once stopped (then `task` is
  /// not run). Any thread.
  bool Post(std::function<void()> task);
  const ConnectionString& where() const { return where_; }

  // The rest is for the pool's thread.

  /// Hands out a connection, at once or later. kUnavailable when the server cannot
  /// be reached, kDeadlineExceeded at `deadline`, kRefused when the session shows
  /// that a yes vote would not hold (work only).
  void Acquire(Lane lane, TimePoint deadline, LeaseCallback done);
  /// Why who asked for a connection has none at its deadline.
  std::string NoneFree() const;
  /// Whether everything is being ended; a timer that comes back then would never stop.
  bool stopping() const { return stopping_; }
  TimerKey At(TimePoint when, std::function<void()> task);
  void Cancel(const TimerKey& timer) { timers_.erase(timer); }

 private:
  friend class Lease;
  struct Slot {
    std::unique_ptr<Connection> connection;
    bool ready = false;  // connected, and its session looked at
    bool leased = false;
    bool returned = false;         // the lease has ended, what is to be cleaned has not
    Cleaning cleaning;             // that it needs
    bool clean_after = false;      // the next script
    bool clean = false;            // nothing has run since
    std::function<void()> queued;  // a script that came before the epilogue's end
    std::optional<TimerKey> look_again;
    TimePoint looked_at{};  // for prepared statements
    bool tainted = false;
    Lane lane = Lane::kWork;
    std::string problem;  // why work must not use it
    TimePoint began{};    // to connect, or to be cleaned
    TimePoint established{};
    ScriptCallback done;
    std::optional<TimerKey> limit;
  };
  struct Waiter {
    LeaseCallback done;
    TimerKey timer;
  };
  using Waiters = std::map<uint64_t, Waiter>;  // in order of arrival

  void Loop();
  void RunTasks();
  void RunTimers();
  void Poll();
  bool DeliverReplies();
  void LimitBy(uint64_t id, TimePoint limit);
  void RunScript(uint64_t id, std::vector<Command> commands, TimePoint limit,
                 ScriptCallback done);
  void Dispatch();
  bool GrantTo(Waiters& waiters, Lane lane);
  std::optional<uint64_t> FindIdle();
  void Connect();
  void LookAtSession(uint64_t id);
  void ConnectFailed(const std::string& reason);
  void FailAll(Waiters& waiters, const Status& why);
  void GiveBack(const Lease& lease);
  bool IsClean(const Slot& slot) const;
  void OnEpilogue(uint64_t id, const ScriptReply& reply);
  bool CleanReturned();
  void Clean(uint64_t id);
  void Free(uint64_t id);
  void Retire(uint64_t id);
  void EndEverything();
  void Wake();

  static constexpr Duration kCleaningLimit = std::chrono::seconds(5);
  const ConnectionString where_;
  const size_t max_connections_;
  const size_t max_work_;
  const bool prepares_;

  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;  // guarded by mutex_
  bool closed_ = false;                       // guarded by mutex_
  bool asleep_ = false;  // guarded by mutex_: a task must wake the thread; else it looks
  bool stop_ = false;    // guarded by mutex_
  const int wake_fd_;

  // The pool's thread only.
  bool stopping_ = false;
  std::map<uint64_t, Slot> slots_;
  uint64_t next_id_ = 1;
  std::vector<uint64_t> returned_;  // slots to clean
  size_t work_in_use_ = 0;
  Waiters phase_two_, work_;
  std::map<TimerKey, std::function<void()>> timers_;
  TimePoint next_connect_{};
  Duration backoff_{};

  std::thread thread_;  // last: it uses everything above
};

}  // namespace indoubt::pg
