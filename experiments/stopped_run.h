// A run that ended before all its repetitions were run (Ctrl-C, kill -9, a power cut), and
// what it takes to go on with it: the same scenario, on the same kind of machine, with the
// same seeds, and nothing of a half repetition counted.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "experiments/run.h"
#include "experiments/scenario.h"

namespace indoubt {

/// Held for as long as a run writes into its folder. The operating system lets go of it when
/// the process ends, however it ends; there is no file for it.
class RunFolderLock {
 public:
  /// kLocked when another process holds it, kNotFound when there is no such folder.
  static Result<std::unique_ptr<RunFolderLock>> Take(const std::string& run_folder);
  ~RunFolderLock();
  RunFolderLock(const RunFolderLock&) = delete;
  RunFolderLock& operator=(const RunFolderLock&) = delete;

 private:
  explicit RunFolderLock(int fd) : fd_(fd) {}
  const int fd_;
};

struct StoppedRun {
  std::string folder;  // absolute
  Scenario scenario;   // of its scenario.toml, which has every --set in it
  nlohmann::json run;  // run.json
  nlohmann::json env;  // env.json
};

/// The cells of a scenario as run.json lists them before anything was run.
nlohmann::json DescribeCells(const std::vector<MatrixCell>& cells);

/// The checksum of a scenario's text as run.json has it.
std::string ScenarioChecksum(const std::string& text);

/// Whether repetition `n` of a cell of run.json was run to its end, well or badly. One that
/// was interrupted was not.
bool IsRecorded(const nlohmann::json& cell, int n);

/// Reads the run in `folder`. kInvalidArgument says why it cannot be gone on with: nothing
/// is left to run, it was recorded by another version (`options.version`), its scenario was
/// changed since, or means other cells to this program, or it ran on given servers and
/// `options` gives none, or the other way round. kNotFound, kCorrupt: it is not a run.
Result<StoppedRun> ReadStoppedRun(const std::string& folder, const RunOptions& options);

/// kInvalidArgument when the servers that `options` gives are not those that it ran on; one
/// that was recorded without their names is not checked. kUnavailable. Changes nothing there.
Status CheckSameServers(const StoppedRun& stopped, const RunOptions& options);

/// Removes the stores that its killed repetitions left behind. kRefused when given servers may
/// wait for what is inside (RemoveLeftStores).
Status RemoveWhatItLeft(const StoppedRun& stopped);

/// kInvalidArgument names every difference between the run's environment and this one
/// (`here`, with the stores' versions and durability) that would mix what cannot be compared:
/// the machine, the build, the stores and their durability. What may matter, another commit
/// and the kernel, is added to `warnings`.
Status CheckSameEnvironment(const StoppedRun& stopped, const nlohmann::json& here,
                            std::vector<std::string>& warnings);

/// Takes the half repetitions out of `stopped.run` and moves their folders aside, beside
/// where they were ("rep-2-stopped-1"). The new folders, relative to the run's.
Result<std::vector<std::string>> SetAsideHalfRepetitions(StoppedRun& stopped);

}  // namespace indoubt
