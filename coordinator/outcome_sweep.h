// What stores still keep of transactions that have ended: an outcome record goes when the
// coordinator asks for it (Participant::Forget), once the end record is durable. A process
// that is killed between the two never asks; nor does one whose store is away for long.
// The next process finds what was left over, and asks.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/gid.h"

namespace indoubt {

class Engine;

/// Thread-compatible: passes of one engine do not overlap.
class OutcomeSweep {
 public:
  /// Who keeps an outcome record of which transaction, by position.
  using Kept = std::map<Gid, std::vector<size_t>>;

  /// The outcome records of transactions of `node` and the engine's log, earlier
  /// incarnations only: those of this one are asked for as they end. Every participant is
  /// asked once a process, and again while it does not answer or has more than it lists at
  /// once; none of `unreachable`. Must be called before the active set is taken. Blocks
  /// until `deadline`. Who gave no list, and why: in `failures`.
  Kept List(Engine& engine, const std::string& node,
            const std::vector<std::string>& unreachable, TimePoint deadline,
            std::map<std::string, std::string>& failures);

  /// Has those forgotten of `kept` that nobody may still ask for: not `active`, over for the
  /// log, and no heuristic outcome that a person has yet to forget. Returns at once; they go
  /// once all end records are durable.
  static void Forget(Engine& engine, const Kept& kept, const std::set<Gid>& active);

 private:
  std::set<size_t> swept_;  // positions of participants with nothing left to list
};

}  // namespace indoubt
