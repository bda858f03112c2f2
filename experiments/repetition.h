// One repetition of one cell: fresh stores, one path, its load, its fault, and the
// records of both.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "experiments/run.h"
#include "experiments/scenario.h"

namespace indoubt {

struct RepetitionPlan {
  MatrixCell cell;
  int n = 1;           // from 1
  uint64_t seed = 0;   // of the load, the same for every path
  std::string folder;  // for the records; exists
};

struct RepetitionOutcome {
  Status status;             // why it failed, if it did
  bool interrupted = false;  // told to stop; its records end early
  bool disturbed = false;    // something was killed by hand
  std::vector<std::string> warnings;
};

/// `note` is called often with phase, counts and events filled in; `stores_up` once
/// the stores run, before any load.
RepetitionOutcome RunRepetition(const Scenario& scenario, const RunOptions& options,
                                const RepetitionPlan& plan,
                                const std::function<void(const StoreEndpoints&)>& stores_up,
                                const std::function<void(RunProgress)>& note);

}  // namespace indoubt
