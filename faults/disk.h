// A disk that is full, fails its syncs or is slow, for chosen files of chosen processes: no
// privilege, no file system of its own, and switched while they run.
//
// The processes are started with environment(): a small library is preloaded into them and
// stands before their writes and syncs (disk_shim.cc; docs/adr/0013 says why so, and what it
// does not reach: writes by stdio and through mapped memory).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "faults/disk_shim_control.h"

namespace indoubt {

/// One at a time for a process. Thread-compatible; the processes may run meanwhile. Destroyed,
/// it leaves the disk well.
class FaultyDisk {
 public:
  /// Makes `folder`, which whoever runs the processes must be able to read, and puts there
  /// what they load.
  static Result<std::unique_ptr<FaultyDisk>> Make(const std::string& folder);
  ~FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  /// For the processes to be struck, beside their own. LD_PRELOAD keeps what it has in this
  /// process.
  std::map<std::string, std::string> environment() const;

  /// From now on, on every file whose path begins with `prefix`: a folder with its slash, or
  /// a file with all that are named after it. The folder in it must exist. `latency`: of
  /// kSlowSync, above 0. kUnavailable when no process has loaded the library.
  Status Strike(DiskTrouble trouble, const std::string& prefix, Duration latency = {});
  /// When it was first felt since the last Strike; none so far.
  std::optional<TimePoint> ActedAt() const;
  /// How often it was felt.
  int64_t acts() const;
  /// The disk is as before. What failed meanwhile stays failed.
  void Heal();

 private:
  FaultyDisk(std::string folder, DiskShimControl* control)
      : folder_(std::move(folder)), control_(control) {}

  const std::string folder_;
  DiskShimControl* const control_;  // mapped, shared with the processes
};

}  // namespace indoubt
