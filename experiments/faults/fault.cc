#include "experiments/faults/fault.h"

#include <array>
#include <utility>

#include "base/check.h"
#include "experiments/faults/disk_faults.h"
#include "experiments/faults/path_faults.h"
#include "experiments/faults/store_faults.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr std::array<FaultKind, 10> kKinds{{
    {"kill", "the path's own process dies (SIGKILL) at a fail point, and is started again"},
    {"pause", "the path's own process stands still (SIGSTOP), and goes on"},
    {"in-doubt", "another program's transaction stays prepared at accounts, undecided"},
    {"store-kill", "the server of accounts or stock dies (SIGKILL), and is started again"},
    {"store-partition",
     "the path's connections to accounts or stock fall silent, and new ones are refused"},
    {"store-slow", "what goes to and from accounts or stock takes latency and jitter longer"},
    {"store-lock", "another program holds the write lock of ledger's SQLite file"},
    {"disk-full", "no file of the path's own log, or of a store, grows any more (ENOSPC)"},
    {"disk-error", "every sync of the path's own log, or of a store, fails (EIO)"},
    {"disk-slow", "every sync of the path's own log, or of a store, takes latency longer"},
}};

constexpr const char* kNobody = "it has no process of its own";

template <typename Specific>
ApplicableFault Applies(std::unique_ptr<Specific> fault) {
  return {.fault = std::move(fault), .not_applicable = ""};
}

ApplicableFault DoesNotApply(std::string why) {
  return {.fault = nullptr, .not_applicable = std::move(why)};
}

ApplicableFault MakeKill(const FaultPlan& plan, Path& path) {
  if (path.victim().empty()) return DoesNotApply(kNobody);
  const auto point = plan.point.find(path.name());
  if (point == plan.point.end()) return DoesNotApply("the fault names no point of this path");
  return Applies(MakeKillFault(path, point->second));
}

ApplicableFault MakePause(Path& path) {
  if (path.victim().empty()) return DoesNotApply(kNobody);
  return Applies(MakePauseFault(path));
}

}  // namespace

std::span<const FaultKind> AllFaultKinds() { return kKinds; }

std::string ProxiedStore(const FaultPlan& plan) {
  const bool between = plan.kind == "store-partition" || plan.kind == "store-slow";
  return between ? plan.store : "";
}

std::string FaultyDiskOwner(const FaultPlan& plan) {
  if (!IsDiskFault(plan.kind)) return "";
  const bool server = plan.store == kAccounts || plan.store == kStock;
  return server ? plan.store : "path";
}

Result<ApplicableFault> MakeFault(const FaultPlan& plan, Path& path, LabStores& stores) {
  if (plan.kind == "kill") return MakeKill(plan, path);
  if (plan.kind == "pause") return MakePause(path);
  if (plan.kind == "in-doubt") return Applies(MakeInDoubt(stores));
  if (plan.kind == "store-kill") {
    INDOUBT_ASSIGN_OR_RETURN(auto kill, MakeStoreKill(plan.store, stores));
    return Applies(std::move(kill));
  }
  if (plan.kind == "store-partition") return Applies(MakeStorePartition(plan.store, stores));
  if (plan.kind == "store-slow") {
    return Applies(MakeStoreSlow(plan.store, plan.latency, plan.jitter, stores));
  }
  if (IsDiskFault(plan.kind)) {
    if (std::string why = WhyNoDiskFault(plan, path); !why.empty()) {
      return DoesNotApply(std::move(why));
    }
    return Applies(MakeDiskFault(plan, path, stores));
  }
  INDOUBT_CHECK(plan.kind == "store-lock", "the scenario's reader knows the kinds");
  return Applies(MakeStoreLock(stores));
}

}  // namespace indoubt
