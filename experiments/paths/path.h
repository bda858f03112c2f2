// A way to keep the stores in step, under test: started, driven, struck, healed,
// drained and stopped the same way, whatever it is inside.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/executor.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

struct CdcOptions;  // cdc/worker.h

struct PathContext {
  StoreEndpoints stores;
  std::string scratch;         // for configurations, the decision log, the event log, sockets
  std::string log_folder;      // where its processes write their *.log
  std::string binary;          // the indoubt executable, for processes of their own
  int clients = 32;            // most operations in flight
  bool last_resource = false;  // PostgreSQL is one, where CanHaveLastResource
  /// Fail points armed in the process that will be killed; they wait for Strike().
  /// Empty: no fault planned. E.g. "voted" (2pc), "cdc_appended" (cdc),
  /// "dual_write_between" (dual-write).
  std::string strike_point;
  /// Added to that of its own processes.
  std::map<std::string, std::string> environment;
};

/// What a path's own process keeps durably for itself, below PathContext::scratch.
struct OwnLog {
  std::string name;  // for people: "decision log"; empty: there is none
  std::string file;  // what its files' names begin with; a folder ends with its slash
  /// Whether the process ends when the log cannot be written or synced.
  bool fail_stop = false;
};

/// Start and stop from one thread; Submit from any.
class Path {
 public:
  virtual ~Path() = default;

  virtual const std::string& name() const = 0;
  virtual Placement placement() const = 0;
  /// Whether Redis and SQLite are derived (have a lag) on this path.
  virtual bool derived() const { return placement() == Placement::kSourceOnly; }
  /// Who dies when struck: "coordinator", "cdc-worker", "client"; empty: nobody
  /// can be (the path is in this process), and a fault is n/a here.
  virtual std::string victim() const = 0;

  virtual Status Start(const PathContext& context) = 0;

  /// One operation. `done` runs once, on any thread; after the victim's death
  /// with kInDoubt and code kUnavailable where it is not known whether it committed,
  /// or kRolledBack and kUnavailable where it was never sent.
  virtual void Submit(TransactionRequest request, OutcomeCallback done) = 0;

  /// Arms the strike point: the victim kills itself (SIGKILL) at that protocol
  /// step when it next comes there.
  virtual Status Strike() = 0;
  /// When the victim was seen dead by signal 9; none while it lives.
  virtual std::optional<TimePoint> StruckAt() = 0;
  /// Kills the victim where it stands (SIGKILL). kUnsupported where there is none,
  /// kUnavailable when it does not run.
  virtual Status Kill() {
    return Status(StatusCode::kUnsupported, name() + ": no process of its own to kill");
  }
  /// Starts the victim again, with the fail point of a strike that is still to come; empty:
  /// none. Returns when it runs.
  virtual Status Restart(const std::string& strike_point) = 0;
  /// Calls a Strike that has not acted yet off.
  virtual void Disarm() {}
  /// Whether its own process runs; false where there is none.
  virtual bool Running() { return false; }
  /// Of its own process.
  virtual OwnLog own_log() const { return {}; }
  /// Whether work on `ledger`, a file, is done in a process of its own.
  virtual bool writes_ledger_apart() const { return false; }

  /// Stops the victim where it stands (SIGSTOP). kUnsupported where there is none.
  virtual Status Pause() {
    return Status(StatusCode::kUnsupported, name() + ": no process of its own to stop");
  }
  /// Whether it stands still.
  virtual bool Paused() { return false; }
  virtual Status Resume() { return Pause(); }

  /// Waits until nothing is in doubt and derived stores have caught up.
  /// kDeadlineExceeded says what is still missing; kInternal: a process of the path
  /// has ended although nobody asked for it.
  virtual Status Drain(TimePoint deadline) = 0;
  /// Runs recovery once more on a drained path; whether it found nothing to do.
  /// None where the path has no recovery.
  virtual Result<std::optional<bool>> RecoverAgain() = 0;
  /// Its slot and views, while it is started; null where nothing is derived.
  virtual const CdcOptions* views() const { return nullptr; }
  /// The folder of its coordinator's decision log; empty where there is none.
  virtual std::string decision_log() const { return ""; }
  /// Stops its processes. Idempotent.
  virtual void Stop() = 0;
};

/// "2pc", "2pc-embedded", "cdc", "dual-write", "raw", "raw-grpc".
std::vector<std::string> PathNames();
/// Whether a path of this name has a coordinator that can be given a last resource.
bool CanHaveLastResource(const std::string& name);
/// kInvalidArgument for an unknown name, listing the known ones.
Result<std::unique_ptr<Path>> MakePath(const std::string& name);

}  // namespace indoubt
