#include "experiments/scenario_faults.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/failpoint.h"
#include "experiments/faults/fault.h"
#include "experiments/paths/path.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

bool IsFailPoint(const std::string& point) {
  const std::string name = point.substr(0, point.find_first_of("@:"));
  for (const FailPoint& each : AllFailPoints()) {
    if (each.name == name) return true;
  }
  return false;
}

void ReadPoints(ScenarioTable& table, FaultPlan& fault) {
  table.Require("point");
  table.Read("point", fault.point);
  for (const auto& [path, point] : fault.point) {
    if (!IsFailPoint(point)) {
      table.Wrong("point", fmt::format("no fail point \"{}\" (`indoubt list faults`)", point));
    }
    if (auto made = MakePath(path); !made) table.Wrong("point", made.error().message());
  }
}

void ReadStore(ScenarioTable& table, FaultPlan& fault) {
  table.Require("store");
  table.Read("store", fault.store);
  const bool lock = fault.kind == "store-lock";
  const bool fits =
      lock ? fault.store == kLedger : fault.store == kAccounts || fault.store == kStock;
  if (!fits) {
    table.Wrong("store", lock ? "must be \"ledger\": the others lock by row or key"
                              : "must be \"accounts\" or \"stock\": ledger is a file, without "
                                "a server or a connection (see store-lock)");
  }
}

void ReadDisk(ScenarioTable& table, FaultPlan& fault) {
  table.Read("store", fault.store);
  if (!table.Has("store") || fault.store == kAccounts || fault.store == kStock ||
      fault.store == kLedger) {
    return;
  }
  table.Wrong("store",
              "must be \"accounts\", \"stock\" or \"ledger\"; without it the disk is that of "
              "the path's own log");
}

/// What belongs to its kind, and nothing that belongs to another.
void ReadFaultOfKind(ScenarioTable& table, FaultPlan& fault) {
  const auto kinds = AllFaultKinds();
  const bool known = std::any_of(kinds.begin(), kinds.end(), [&](const FaultKind& kind) {
    return kind.name == fault.kind;
  });
  if (!known) {
    std::string names;
    for (const FaultKind& kind : kinds) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", kind.name);
    }
    return table.Wrong(
        "kind", fmt::format("no fault is called \"{}\"; there are {}", fault.kind, names));
  }
  if (fault.kind == "kill") ReadPoints(table, fault);
  if (fault.kind.starts_with("store-")) ReadStore(table, fault);
  if (fault.kind.starts_with("disk-")) ReadDisk(table, fault);
  if (fault.kind == "in-doubt") fault.store = kAccounts;  // whose server it breaks
  if (fault.kind == "store-slow" || fault.kind == "disk-slow") {
    table.Require("latency");
    table.Read("latency", fault.latency);
    if (fault.kind == "store-slow") table.Read("jitter", fault.jitter);
    if (fault.latency <= Duration{}) table.Wrong("latency", "must be above 0");
  }
}

}  // namespace

void ReadFaults(ScenarioTable& document, Scenario& scenario) {
  for (ScenarioTable& table : document.Tables("fault")) {
    FaultPlan fault;
    for (const char* key : {"at", "kind", "down"}) table.Require(key);
    table.Read("at", fault.at);
    table.Read("kind", fault.kind);
    table.Read("down", fault.down);
    ReadFaultOfKind(table, fault);
    if (fault.at + fault.down >= scenario.load.duration) {
      table.Wrong("at", "at + down must lie within load.duration, or healing is not seen");
    }
    if (!scenario.faults.empty()) {
      table.Wrong("at", "only one fault a scenario is offered at present");
    }
    table.NoOthers();
    scenario.faults.push_back(std::move(fault));
  }
  if (!scenario.faults.empty()) return;
  std::vector<Variation> varied = scenario.again;
  for (const std::vector<Variation>& axis : scenario.vary) varied.push_back(axis.front());
  for (const Variation& each : varied) {
    if (!each.key.starts_with("fault.")) continue;
    document.Table("matrix").Wrong(
        "vary",
        fmt::format("{} varies, and there is no [[fault]]; --set 'matrix.vary={{}}' lets "
                    "nothing vary",
                    each.key));
  }
}

}  // namespace indoubt
