// The decision log in files of one folder: append-only segments of checksummed
// records, group commit, one process at a time. docs/log-format.md has the bytes.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "recovery/decision_log.h"

namespace indoubt {

struct FileLogOptions {
  /// [A-Za-z0-9_-]{1,32}; written into the log, which no node of another name opens then.
  std::string node;
  Duration outcome_retention = std::chrono::hours(1);
  uint64_t segment_bytes = 16u << 20;  // 4 KiB to 1 GiB
  /// kNotFound, and nothing is written, when there is no log yet.
  bool must_exist = false;
  /// How long to wait for the lock that another process holds.
  Duration lock_timeout{};
  /// Tells how old ended transactions are; must outlive the log.
  const Clock* clock = &SystemClock();
  /// The identity of a log that is made; none: a random one.
  std::optional<LogId> new_id;
};

/// Opens the log in the folder `path` (made if absent, 0700), reads it, re-syncs
/// what it read of the tail into a fresh segment, and raises the incarnation
/// durably. `files` must outlive the log. Errors: kInvalidArgument for a node or
/// segment_bytes out of its form or range, or when a node of another name has opened the log
/// last (its prepared branches would be nobody's); kLocked names the holder's pid;
/// kCorrupt names file and offset of damage that is no torn tail, or two segments that
/// are of different logs; kRefused names a format version that this one cannot read;
/// kIoError; kNotFound with must_exist. A process that may run under a limit on file size
/// must ignore SIGXFSZ, so that the limit becomes a kIoError too.
/// Thread-safe as DecisionLog says; callbacks run on two threads of the log's or on the
/// caller's: a group of many commits is answered by a thread for that, perhaps after a later
/// one.
Result<std::unique_ptr<DecisionLog>> OpenFileLog(FileSystem& files, const std::string& path,
                                                 const FileLogOptions& options);

/// One record as `indoubt log inspect` shows it.
struct InspectedRecord {
  std::string file;
  uint64_t offset = 0;
  uint64_t sequence = 0;
  std::string kind;    // "opened", "commit", "end", "heuristic", "forget", "damage", ...
  std::string gid;     // empty where it has none
  std::string detail;  // one line for a person
};

/// Reads a log folder or one segment without locking or changing anything, damage
/// included (as records of kind "damage"). kNotFound, kIoError; kInvalidArgument
/// when `path` holds no log.
Result<std::vector<InspectedRecord>> InspectLog(FileSystem& files, const std::string& path);

}  // namespace indoubt
