#include "experiments/faults/fault.h"

#include <array>

#include "base/check.h"
#include "experiments/faults/path_faults.h"
#include "experiments/faults/store_faults.h"

namespace indoubt {
namespace {

constexpr std::array<FaultKind, 7> kKinds{{
    {"kill", "the path's own process dies (SIGKILL) at a fail point, and is started again"},
    {"pause", "the path's own process stands still (SIGSTOP), and goes on"},
    {"in-doubt", "another program's transaction stays prepared at accounts, undecided"},
    {"store-kill", "the server of accounts or stock dies (SIGKILL), and is started again"},
    {"store-partition",
     "the path's connections to accounts or stock fall silent, and new ones are refused"},
    {"store-slow", "what goes to and from accounts or stock takes latency and jitter longer"},
    {"store-lock", "another program holds the write lock of ledger's SQLite file"},
}};

template <typename Specific>
std::unique_ptr<Fault> Held(std::unique_ptr<Specific> fault) {
  return fault;
}

}  // namespace

std::span<const FaultKind> AllFaultKinds() { return kKinds; }

std::string ProxiedStore(const FaultPlan& plan) {
  const bool between = plan.kind == "store-partition" || plan.kind == "store-slow";
  return between ? plan.store : "";
}

Result<std::unique_ptr<Fault>> MakeFault(const FaultPlan& plan, Path& path, LabStores& stores) {
  if (plan.kind == "kill") {
    const auto point = plan.point.find(path.name());
    if (path.victim().empty() || point == plan.point.end()) return std::unique_ptr<Fault>();
    return Held(MakeKillFault(path, point->second));
  }
  if (plan.kind == "pause") {
    if (path.victim().empty()) return std::unique_ptr<Fault>();
    return Held(MakePauseFault(path));
  }
  if (plan.kind == "in-doubt") return Held(MakeInDoubt(stores));
  if (plan.kind == "store-kill") return MakeStoreKill(plan.store, stores);
  if (plan.kind == "store-partition") return Held(MakeStorePartition(plan.store, stores));
  if (plan.kind == "store-slow") {
    return Held(MakeStoreSlow(plan.store, plan.latency, plan.jitter, stores));
  }
  INDOUBT_CHECK(plan.kind == "store-lock", "the scenario's reader knows the kinds");
  return Held(MakeStoreLock(stores));
}

}  // namespace indoubt
