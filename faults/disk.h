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
  /// what they load. kIoError when it cannot, also where one was made before.
  static Result<std::unique_ptr<FaultyDisk>> Make(const std::string& folder);
  ~FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  /// For the processes to be struck, beside their own. What this process has in LD_PRELOAD and
  /// ASAN_OPTIONS stays in them, behind ours.
  std::map<std::string, std::string> environment() const;

  /// From now on, on every file whose path begins with `prefix`: a folder with its slash, or
  /// a file with all that are named after it. `latency`: of kSlowSync, above 0. kUnavailable
  /// when no process has loaded the library, kNotFound when the folder in `prefix` does not
  /// exist, kInvalidArgument when its path is longer than the page has room for.
  Status Strike(DiskTrouble trouble, const std::string& prefix, Duration latency = {});
  /// When it was first felt since the last Strike; none so far.
  std::optional<TimePoint> ActedAt() const;
  /// How often it was felt since then, by all processes together.
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
