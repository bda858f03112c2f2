#include "base/failpoint.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/failpoint_call.h"

namespace indoubt {
namespace {

constexpr std::array kFailPoints{
    FailPoint{"begun", "the transaction exists, no participant has work"},
    FailPoint{"worked", "a participant has done its statements, not yet prepared"},
    FailPoint{"before_prepare", "before one participant's prepare"},
    FailPoint{"after_prepare", "after one participant's prepare"},
    FailPoint{"voted", "every vote is in, nothing of the decision written"},
    FailPoint{"decision_written", "the commit record is written, not yet synced"},
    FailPoint{"decision_durable", "the commit record is durable, no participant knows"},
    FailPoint{"before_commit", "before one participant's commit"},
    FailPoint{"after_commit", "after one participant's commit"},
    FailPoint{"before_rollback", "before one participant's rollback"},
    FailPoint{"after_rollback", "after one participant's rollback"},
    FailPoint{"acknowledged", "every participant has answered, no end record"},
    FailPoint{"ended", "the end record is written"},
    FailPoint{"one_phase_before", "before a one-phase commit"},
    FailPoint{"one_phase_after", "after a one-phase commit"},
    FailPoint{"last_resource_before", "before a logged last resource's commit"},
    FailPoint{"last_resource_after", "after a logged last resource's commit"},
    FailPoint{"last_resource_asked",
              "a last resource has said which decision stands, nobody has acted on it"},
    FailPoint{"heuristic_recorded", "a heuristic outcome became durable"},
    FailPoint{"segment_synced", "log rotation: the new segment is synced, not yet renamed"},
    FailPoint{"checkpoint_written", "what the log carries into a new segment is durable there"},
    FailPoint{"segment_opened",
              "log rotation: the new segment is durable, with the checkpoint only"},
    FailPoint{"segment_dropped", "log clean-up: an old segment was removed"},
    FailPoint{"incarnation_durable", "the new incarnation is durable, nothing else done"},
    FailPoint{"recovery_listed", "recovery has read participants and log, done nothing"},
    FailPoint{"recovery_relisted", "recovery has listed the participants a second time"},
    FailPoint{"recovery_before_commit", "inside recovery, before one participant's commit"},
    FailPoint{"recovery_after_commit", "inside recovery, after one participant's commit"},
    FailPoint{"recovery_before_rollback", "inside recovery, before one participant's rollback"},
    FailPoint{"recovery_after_rollback", "inside recovery, after one participant's rollback"},
    FailPoint{"dual_write_first",
              "the dual-write client has written its first store, not its second"},
    FailPoint{"dual_write_between",
              "the dual-write client has written one store, not the next"},
    FailPoint{"cdc_decoded", "the CDC worker has decoded a whole transaction"},
    FailPoint{"cdc_appended", "the CDC worker has appended it to the event log"},
    FailPoint{"cdc_applied", "the CDC worker has applied it to a view"},
    FailPoint{"cdc_parked", "the CDC worker has set an event aside that a view could not take"},
    FailPoint{"cdc_retried", "the CDC worker has applied such an event after all"},
    FailPoint{"cdc_confirmed", "the CDC worker has confirmed a position to the slot"},
    FailPoint{"cdc_snapshot_begun", "a snapshot of the source is set, and nothing is locked"},
    FailPoint{"cdc_snapshot_chunk", "the CDC worker has stored one chunk of the snapshot"},
    FailPoint{"cdc_log_removing", "the CDC worker is about to commit a step of a removal"},
    FailPoint{"cdc_log_removed", "the CDC worker has removed some of the event log's events"},
    FailPoint{"cdc_log_compacting", "the CDC worker is about to commit a step of a compaction"},
    FailPoint{"cdc_log_compacted", "the CDC worker has compacted some of the event log"},
    FailPoint{"cdc_view_copying", "the CDC worker has derived a chunk of a new view's copy"},
    FailPoint{"cdc_view_copied", "the CDC worker has derived all of it, and is not done"},
    FailPoint{"cdc_rebuild_begun", "a rebuild has cleared what an earlier one had left"},
    FailPoint{"cdc_rebuild_derived", "a rebuild has the new version at the LSN of the proof"},
    FailPoint{"cdc_rebuild_proved", "a rebuild has proved the new version equal to the source"},
    FailPoint{"cdc_rebuild_swapping", "a rebuild is about to commit the swap"},
    FailPoint{"cdc_rebuild_swap", "a rebuild has swapped the versions"},
};

enum class Action { kKill, kExit, kError, kSleep, kCall };

struct ArmedPoint {
  std::string name;
  std::string participant;  // empty: any
  uint64_t hit = 1;
  Action action = Action::kKill;
  Duration sleep{};
  std::function<Status()> call;
  std::atomic<uint64_t> reached{0};
};

// Written only by ConfigureFailPoints and ArmFailPoint, before threads start.
struct Armory {
  std::vector<std::unique_ptr<ArmedPoint>> points;
  std::string arm_path;
};
Armory& TheArmory() {
  static Armory armory;
  return armory;
}

bool IsKnown(std::string_view name) {
  for (const FailPoint& point : kFailPoints) {
    if (point.name == name) return true;
  }
  return false;
}

Status Wrong(std::string_view part, std::string_view why) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("INDOUBT_FAILPOINT: \"{}\": {}; the form is "
                            "NAME[@PARTICIPANT][:HIT]=kill|exit|error|sleep(500ms)",
                            part.substr(0, 80), why));
}

Status ParseAction(std::string_view part, std::string_view text, ArmedPoint& point) {
  if (text == "kill") {
    point.action = Action::kKill;
  } else if (text == "exit") {
    point.action = Action::kExit;
  } else if (text == "error") {
    point.action = Action::kError;
  } else if (text.starts_with("sleep(") && text.ends_with(")")) {
    point.action = Action::kSleep;
    auto duration = ParseDuration(text.substr(6, text.size() - 7));
    if (!duration) return Wrong(part, duration.error().message());
    point.sleep = *duration;
  } else {
    return Wrong(part, fmt::format("unknown action \"{}\"", text));
  }
  return Status::Ok();
}

Result<std::unique_ptr<ArmedPoint>> ParsePoint(std::string_view part) {
  auto point = std::make_unique<ArmedPoint>();
  const size_t equals = part.find('=');
  if (equals == std::string_view::npos) return Wrong(part, "no action");
  std::string_view target = part.substr(0, equals);
  INDOUBT_RETURN_IF_ERROR(ParseAction(part, part.substr(equals + 1), *point));
  if (const size_t colon = target.find(':'); colon != std::string_view::npos) {
    const std::string_view hit = target.substr(colon + 1);
    const auto [end, error] = std::from_chars(hit.data(), hit.data() + hit.size(), point->hit);
    if (error != std::errc() || end != hit.data() + hit.size() || point->hit == 0) {
      return Wrong(part, "HIT counts from 1");
    }
    target = target.substr(0, colon);
  }
  if (const size_t at = target.find('@'); at != std::string_view::npos) {
    point->participant = target.substr(at + 1);
    if (point->participant.empty()) return Wrong(part, "no participant after @");
    target = target.substr(0, at);
  }
  point->name = target;
  if (!IsKnown(point->name)) {
    return Wrong(part, "no such fail point (`indoubt list faults` prints them all)");
  }
  return point;
}

Status Strike(const ArmedPoint& point) {
  switch (point.action) {
    case Action::kKill:
      kill(getpid(), SIGKILL);
      for (;;) pause();  // the signal may land on another thread first
    case Action::kExit:
      std::_Exit(1);
    case Action::kError:
      return Status(StatusCode::kIoError,
                    fmt::format("fail point {}: injected error", point.name));
    case Action::kSleep:
      std::this_thread::sleep_for(point.sleep);
      return Status::Ok();
    case Action::kCall:
      return point.call();
  }
  return Status::Ok();
}

/// Counts the hit and strikes at every armed point `name` whose participant is
/// `concerned` (those without one always are).
template <typename Concerned>
Status Hit(std::string_view name, Concerned concerned) {
  INDOUBT_CHECK(IsKnown(name), std::string(name));
  for (const auto& point : TheArmory().points) {
    if (point->name != name) continue;
    if (!point->participant.empty() && !concerned(point->participant)) continue;
    const std::string& arm_path = TheArmory().arm_path;
    if (!arm_path.empty() && access(arm_path.c_str(), F_OK) != 0) continue;
    if (point->reached.fetch_add(1) + 1 == point->hit) {
      INDOUBT_RETURN_IF_ERROR(Strike(*point));
    }
  }
  return Status::Ok();
}

}  // namespace

std::span<const FailPoint> AllFailPoints() { return kFailPoints; }

Status ConfigureFailPoints(std::string_view spec, std::string_view arm_path) {
  std::vector<std::unique_ptr<ArmedPoint>> points;
  while (!spec.empty()) {
    const size_t end = std::min(spec.find(';'), spec.size());
    const std::string_view part = spec.substr(0, end);
    spec = spec.substr(std::min(end + 1, spec.size()));
    if (part.empty()) continue;
    INDOUBT_ASSIGN_OR_RETURN(auto point, ParsePoint(part));
    points.push_back(std::move(point));
  }
  internal::any_fail_point_armed = !points.empty();
  TheArmory().points = std::move(points);
  TheArmory().arm_path = arm_path;
  return Status::Ok();
}

Status ConfigureFailPointsFromEnvironment() {
  const char* spec = std::getenv("INDOUBT_FAILPOINT");
  const char* arm_path = std::getenv("INDOUBT_FAILPOINT_ARM");
  return ConfigureFailPoints(spec ? spec : "", arm_path ? arm_path : "");
}

void ArmFailPoint(std::string_view name, uint64_t hit, std::function<Status()> call) {
  INDOUBT_CHECK(IsKnown(name), std::string(name));
  auto point = std::make_unique<ArmedPoint>();
  point->name = name;
  point->hit = hit;
  point->action = Action::kCall;
  point->call = std::move(call);
  TheArmory().points.push_back(std::move(point));
  internal::any_fail_point_armed = true;
}

namespace internal {

std::atomic<bool> any_fail_point_armed{false};

bool ArmedFailPointIs(std::string_view name) {
  for (const auto& point : TheArmory().points) {
    if (point->name == name) return true;
  }
  return false;
}

Status PassArmedFailPoint(std::string_view name, std::string_view participant) {
  return Hit(name, [&](const std::string& armed) { return armed == participant; });
}

Status PassArmedFailPoint(std::string_view name, std::span<const std::string> taking_part) {
  return Hit(name, [&](const std::string& armed) {
    return std::find(taking_part.begin(), taking_part.end(), armed) != taking_part.end();
  });
}

}  // namespace internal

}  // namespace indoubt
