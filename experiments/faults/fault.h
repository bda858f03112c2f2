// What a scenario breaks, and mends again. Each kind is a small class behind one
// interface; experiments/fault_director.h says when.
//
//   kill             the path's own process dies at a protocol step   every path with one
//   pause            the path's own process is stopped (SIGSTOP)      every path with one
//   store-kill       a store's server dies (SIGKILL)                  every path
//   store-partition  the path's connections to a store fall silent    every path
//   store-slow       each message to and from a store takes longer    every path
//   in-doubt         another program's transaction stays prepared     every path
//   store-lock       somebody else holds SQLite's write lock          every path
//   disk-full        no file grows any more                           2pc, cdc: their logs;
//   disk-error       every sync fails                                   every path: a server's
//   disk-slow        every sync takes longer                            disk; every path with a
//                                                                       process: ledger's
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "experiments/lab_stores.h"
#include "experiments/paths/path.h"
#include "experiments/scenario.h"

namespace indoubt {

/// Injected once, mended once. Use from the thread that started the path.
class Fault {
 public:
  virtual ~Fault() = default;

  /// Who is struck: "coordinator", "cdc-worker", "client", "accounts", "stock", "ledger".
  virtual std::string target() const = 0;
  /// Where or how: a fail point, "latency 20ms"; empty where the kind says all.
  virtual std::string point() const { return ""; }
  /// For progress lines, after the target: "killed", "restarted".
  virtual std::string struck_word() const = 0;
  virtual std::string healed_word() const = 0;

  /// Asks for it. It may act later, at the point.
  virtual Status Strike() = 0;
  /// When it was seen to act; none so far.
  virtual std::optional<TimePoint> StruckAt() = 0;
  /// Calls it off for good, when it was asked for and has not acted so far.
  virtual Status Withdraw() { return Status::Ok(); }
  /// Undoes it, and returns once that has worked. Only after it was seen to act.
  virtual Status Heal() = 0;
};

struct FaultKind {
  std::string_view name;
  std::string_view what;  // for people: what it does, and to whom
};
/// Every kind that a scenario can name.
std::span<const FaultKind> AllFaultKinds();

/// A fault, or why the path has no counterpart of it: then it runs undisturbed, and what it
/// shows is not an answer to the scenario's question.
struct ApplicableFault {
  std::unique_ptr<Fault> fault;
  std::string not_applicable;  // "it has no process of its own"
};

/// The fault of `plan` on a path that is started over `stores`, all of which must outlive
/// it. kInvalidArgument when a store's server is not ours to break.
Result<ApplicableFault> MakeFault(const FaultPlan& plan, Path& path, LabStores& stores);

/// The store whose connections from the path have to go through a proxy; empty: none.
std::string ProxiedStore(const FaultPlan& plan);

/// Whose disk has to be prepared for it, as LabStoresOptions::faulty_disk; empty: nobody's.
std::string FaultyDiskOwner(const FaultPlan& plan);

}  // namespace indoubt
