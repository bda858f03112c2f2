// Fail points: named places where a test, or an experiment, makes this process
// die, fail or wait. Every build honours them; unarmed, one costs a relaxed load.
//
//   INDOUBT_FAILPOINT="NAME[@PARTICIPANT][:HIT]=ACTION[;...]"
//
// ACTION is kill (SIGKILL to itself), exit, error, or sleep(500ms). HIT counts
// from 1 the times that the point was reached (at that participant, if named);
// default 1. At a point of a whole transaction (voted) @PARTICIPANT means one in
// which that participant takes part. With INDOUBT_FAILPOINT_ARM=PATH the points
// sleep until that file exists: reaching one before then counts for nothing. That
// lets an experiment strike at a protocol step at a chosen time, in the binary that
// ships.
#pragma once

#include <atomic>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace indoubt {

struct FailPoint {
  std::string_view name;
  std::string_view where;  // one line for `indoubt list faults`
};

/// All fail points, in the order of a transaction's life.
std::span<const FailPoint> AllFailPoints();

/// Arms the points of `spec` (the form above), replacing what was armed;
/// `arm_path` as INDOUBT_FAILPOINT_ARM, empty for none. kInvalidArgument names
/// the part that is wrong and arms nothing. Not thread-safe against HitFailPoint:
/// call it before threads start.
Status ConfigureFailPoints(std::string_view spec, std::string_view arm_path = {});

/// The same from the two environment variables; Ok when they are not set.
Status ConfigureFailPointsFromEnvironment();

namespace internal {

/// Whether any point is armed: all that a process without fail points looks at.
extern std::atomic<bool> any_fail_point_armed;
inline bool AnyFailPointIsArmed() {
  return any_fail_point_armed.load(std::memory_order_relaxed);
}
bool ArmedFailPointIs(std::string_view name);
Status PassArmedFailPoint(std::string_view name, std::string_view participant);
Status PassArmedFailPoint(std::string_view name, std::span<const std::string> taking_part);

}  // namespace internal

/// Whether `name` is armed at all. Lets a caller go a longer way that passes a
/// point which its usual short cut skips.
inline bool FailPointIsArmed(std::string_view name) {
  return internal::AnyFailPointIsArmed() && internal::ArmedFailPointIs(name);
}

/// Passes the point: returns Ok when nothing is armed here; for `error` returns
/// kIoError naming the point; for `kill` and `exit` does not return. `name` must
/// be in AllFailPoints() (checked). Thread-safe.
inline Status HitFailPoint(std::string_view name, std::string_view participant = {}) {
  if (!internal::AnyFailPointIsArmed()) return Status::Ok();
  return internal::PassArmedFailPoint(name, participant);
}

/// The same at a point of a whole transaction, in which `taking_part` take part.
inline Status HitFailPoint(std::string_view name, std::span<const std::string> taking_part) {
  if (!internal::AnyFailPointIsArmed()) return Status::Ok();
  return internal::PassArmedFailPoint(name, taking_part);
}

}  // namespace indoubt
