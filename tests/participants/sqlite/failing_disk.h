// A disk that fails when it is told to: SQLite's own file layer with faults in between.
#pragma once

#include <string>

namespace indoubt {

/// Which call of SQLite's to its file system fails, and how.
struct DiskFault {
  enum class Call { kRead, kWrite, kSync };
  Call call = Call::kWrite;
  /// Only files whose name ends so ("-wal"); empty: all.
  std::string suffix{};
  /// What the call answers: SQLITE_FULL, SQLITE_IOERR_FSYNC, ... A write then leaves half
  /// of its bytes, a failed sync anything.
  int code = 0;
  /// Strikes at the nth such call from Arm() on.
  int turn = 1;
  /// All later ones fail too, until Heal().
  bool lasting = false;
};

/// While it lives, all files that this program opens through SQLite go through it. One at a
/// time; thread-safe.
class FailingDisk {
 public:
  FailingDisk();
  ~FailingDisk();
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;

  /// Replaces what was armed before.
  void Arm(const DiskFault& fault);
  void Heal();
  /// How often the armed fault has struck.
  int strikes() const;
};

}  // namespace indoubt
