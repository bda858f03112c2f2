// The simulated world: stores, network and disk, and one life after another of a
// coordinator's process, all on one thread and in virtual time. The coordinator, its
// transactions, its recovery and its log are the ones that ship.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/coordinator.h"
#include "tests/simulation/invariants.h"
#include "tests/simulation/network.h"
#include "tests/simulation/process.h"
#include "tests/simulation/simulated_disk.h"
#include "tests/simulation/store.h"
#include "tests/simulation/trace.h"

namespace indoubt::simulation {

struct WorldOptions {
  size_t stores = 3;
  /// Big tokens fill segments, so that the log rotates.
  size_t token_bytes = 8;
  Duration recovery_interval = std::chrono::seconds(1);  // 0: only on demand
  Duration outcome_retention = std::chrono::hours(1);
  /// The last of the stores is a logged last resource.
  bool last_resource = false;
  /// Whether a branch may be left to recovery although its coordinator lives: stores go
  /// away for longer than it asks, or prepares arrive late.
  bool orphans_possible = true;
  bool keep_trace = false;
};

class World {
 public:
  /// `nature` must outlive it. The first coordinator starts at once.
  World(Nature& nature, WorldOptions options);
  ~World();

  // --- What clients, operators and bad luck do ---------------------------------------

  /// A client's next transaction over these stores; nothing while no coordinator runs.
  void Submit(const std::set<size_t>& stores);
  void Recover() {
    WhileUp([this] { RecoverNow(); });
  }
  void List();
  /// An operator forgets the heuristic outcomes known so far.
  void ForgetHeuristics();
  /// The coordinator's process is told to end, in order; another one starts.
  void Close();
  void Kill(Death death);
  void CrashStore(size_t store) { stores_[store].Crash(); }
  void StartStore(size_t store) { stores_[store].Start(); }
  /// A person resolves the `n`-th of a store's prepared branches.
  void ResolveByHand(size_t store, size_t n, bool commit);
  void JumpWallClock(int64_t seconds) { events_.JumpWallClock(seconds); }
  void At(Duration from_now, std::function<void()> what) {
    events_.ScheduleIn(from_now, std::move(what));
  }

  // --- Time ---------------------------------------------------------------------------

  void RunFor(Duration time);
  /// Ends all bad luck, lets the world come to rest, and checks what must hold then.
  void Settle();

  const std::string& violation() const { return invariants_.violation(); }
  const Invariants& invariants() const { return invariants_; }
  const Trace& trace() const { return trace_; }
  int lives() const { return lives_; }
  bool up() const { return life_ && life_->coordinator && life_->process.alive(); }

 private:
  /// One life of the coordinator's process.
  struct Life {
    Life(World& world, int number);
    Process process;
    SimulatedDisk disk;
    std::unique_ptr<Coordinator> coordinator;  // last: it uses the others
  };

  bool Advance(TimePoint limit);
  void WhileUp(std::function<void()> task);
  void StartLife();
  Result<std::unique_ptr<Coordinator>> OpenCoordinator();
  void Bury();
  void OnDeath(Death death);
  void OnDurable();
  void RecoverNow();
  RecoveryReport RecoverAtRest();
  bool AtRest() const;
  std::vector<std::set<Gid>> Prepared() const;
  void CheckNoAbortRows();
  void CheckSecondRecovery(const std::string& before, const char* which);
  /// Once all is over, stores remember what a person has yet to forget, and nothing else.
  void CheckNothingKept();

  Nature& nature_;
  const WorldOptions options_;
  EventQueue events_;
  Trace trace_;
  Invariants invariants_;
  std::vector<Store> stores_;
  Network network_;
  FakeFileSystem disk_;
  bool healed_ = false;
  uint64_t next_call_ = 1;
  int next_order_ = 1;
  int lives_ = 0;
  std::deque<std::function<void()>> tasks_;  // what may block, one at a time
  RecoveryReport report_;                    // of the last recovery that was asked for
  std::unique_ptr<Life> life_;
};

}  // namespace indoubt::simulation
