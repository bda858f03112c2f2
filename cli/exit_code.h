// The exit codes of the command line. They are part of the contract.
#pragma once

#include "base/status.h"
#include "coordinator/executor.h"

namespace indoubt::cli {

enum ExitCode : int {
  kDone = 0,
  kInternalError = 1,
  kUsage = 2,
  kEnvironment = 3,
  kExpectationFailed = 10,
  kCorrectnessViolated = 11,
  kInconclusive = 12,
  kRolledBack = 20,
  kInDoubt = 21,
  kHeuristic = 22,
  kInterrupted = 130,
};

/// For an operation that failed before, or beside, any transaction.
ExitCode ExitCodeFor(const Status& status);
/// For `exec`.
ExitCode ExitCodeFor(const TransactionOutcome& outcome);

}  // namespace indoubt::cli
