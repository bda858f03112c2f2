// Everything that the simulated world leaves open. A random nature draws it from a seed
// (random_nature.h), an exhaustive one enumerates it (enumeration.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "participants/participant.h"

namespace indoubt::simulation {

enum class MessageKind {
  kPrepare,
  kOnePhase,
  kCommit,
  kRollback,
  kList,
  kListOutcomes,
  kPreflight,
  kForget,
  // To a last resource:
  kDecide,  // commit, with the decision row
  kAsk,
  kListRows,
  kForgetRows,
  kClose,
};
const char* ToString(MessageKind kind);

/// What the network does to a request or to a reply.
enum class Fate {
  kArrives,
  kLost,
  kTwice,
  kLate,  // long after whoever waited has given up
};

enum class DiskStep { kWrite, kSync, kCreate, kRename, kRemove, kSyncDirectory };
const char* ToString(DiskStep step);

enum class DiskFate {
  kDone,
  kFails,        // a write by half; a sync with the bytes in the page cache only
  kFailsThough,  // reported as failed, and everything reached the disk
};

/// How the coordinator's process ends.
enum class Death {
  kNone,
  kKilled,     // the page cache stays
  kPowerLost,  // nothing that was not synced stays
  kPowerKept,  // all of it
  kPowerTorn,  // some sectors and names of it
};

class Nature {
 public:
  virtual ~Nature() = default;

  virtual Duration Latency(size_t store) = 0;
  virtual Fate OfRequest(MessageKind kind, size_t store) = 0;
  virtual Fate OfReply(MessageKind kind, size_t store) = 0;
  /// kYes, kReadOnly or kNo: unknown is what the network makes of it.
  virtual VoteKind Vote(size_t store) = 0;
  /// From a last resource's decision row to its commit.
  virtual Duration CommitTime(size_t store) = 0;

  /// Before each step of the coordinator's process that anybody outside can see.
  /// `unsynced` says whether the disk holds anything that a power cut may lose.
  virtual Death BeforeStep(const std::function<bool()>& unsynced) = 0;
  virtual DiskFate OfDisk(DiskStep step) = 0;
  /// Until a group of the log is written; none: the caller does it at once.
  virtual Duration FlushDelay() = 0;
  virtual Duration RestartDelay() = 0;
  /// For what is random beyond all of this (a torn tail, jitter); below 2^32.
  virtual uint64_t Number() = 0;
};

}  // namespace indoubt::simulation
