// Runs a scenario: every cell, every repetition, on fresh stores, and leaves the
// raw records of docs/run-format.md in the run's folder.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "experiments/by_hand.h"
#include "experiments/observer/observed.h"
#include "experiments/scenario.h"

namespace indoubt {

/// What is going on, for a person; several times a second.
struct RunProgress {
  std::string cell;  // "2pc-voted"
  std::string path;  // "2pc"
  int rep = 0;       // from 1
  int reps = 0;
  int done = 0;          // repetitions ended, over all cells
  int total = 0;         // repetitions planned, over all cells
  std::string phase;     // "stores", "warmup", "measure", "drain", "compare"
  double elapsed_s = 0;  // since the run began
  /// Seconds since the measured span began, below 0 in the warm-up, and until the phase ends
  /// (of a drain: at the latest); none where there is no load.
  std::optional<double> since_s, left_s;
  int64_t committed = 0;
  int64_t errors = 0;  // answered without a commit, or dropped
  int in_flight = 0;
  std::string event;                 // e.g. "coordinator killed"; empty mostly
  std::string fault;                 // what is broken now; empty: nothing
  std::optional<Observed> observed;  // while there is load
  std::optional<HandOffer> by_hand;  // what a person can do now; none: nothing
};

struct RunOptions {
  std::string out_folder;         // holds the runs, e.g. "runs"; made if absent
  std::string binary;             // the indoubt executable, for processes of their own
  std::string version;            // of indoubt, for run.json
  std::vector<std::string> argv;  // as asked for, for run.json
  std::optional<int> repeat;      // instead of the scenario's
  std::optional<uint64_t> seed;
  /// Running servers instead of private ones. Shop tables and keys that an earlier run
  /// made there are dropped; anybody else's stop the run before it begins.
  std::optional<std::string> postgres_dsn, redis_uri;
  bool keep = false;  // keep the stores' data folders
  /// Told the run's folder, once it is there and before anything is measured.
  std::function<void(const Scenario&, const std::string& folder)> begun;
  std::function<void(const RunProgress&)> progress;  // from the calling thread's loop
  ByHand* by_hand = nullptr;                // who may be asked to break things while it runs
  const std::atomic<bool>* stop = nullptr;  // set it to end early, saving what there is
};

struct RunResult {
  std::string folder;  // of this run
  std::string status;  // "done", "interrupted", "failed"
  std::vector<std::string> warnings;
};

/// The order in which the cells of repetition `n` (from 1) run: shuffled by `seed` in
/// every one, as what ran before warms or wears the machine for what runs after.
std::vector<size_t> CellOrder(uint64_t seed, int n, size_t cells);

/// The errors for which RunScenario would begin nothing. Nothing is made or started for it.
Status CheckScenario(const Scenario& scenario, const RunOptions& options);

/// The same of ResumeRun: whether there is such a run, which can be gone on with.
Status CheckStoppedRun(const std::string& run_folder, const RunOptions& options);

/// Blocks for as long as the scenario takes. The process must ignore SIGPIPE: servers that
/// are killed close connections that are written to. Processes that it starts die with
/// the calling thread. An error means that no run came about (kInvalidArgument,
/// kNotFound for missing servers, kUnavailable and kRefused for given ones, kIoError); a
/// repetition that failed is in run.json, with the run's status "failed".
Result<RunResult> RunScenario(const Scenario& scenario, const RunOptions& options);

/// Completes the stopped run in `run_folder`: what is recorded stays, a half repetition is
/// moved aside and run again, all with the run's own scenario and seeds; repeat, seed,
/// out_folder and argv of `options` count for nothing. Beside the errors of RunScenario
/// kInvalidArgument and kLocked say why it cannot be resumed (stopped_run.h); the run is
/// then as it was.
Result<RunResult> ResumeRun(const std::string& run_folder, const RunOptions& options);

}  // namespace indoubt
