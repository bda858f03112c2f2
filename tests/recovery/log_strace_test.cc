// strace as the witness of rotation: each new segment is filled, synced and named, and the
// folder synced, before the old one goes or a group is written; and no group is begun
// before the one before it was synced.
#include <cstdlib>
#include <filesystem>
#include <future>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "faults/process.h"
#include "recovery/file_log.h"
#include "recovery/log_format.h"
#include "tests/support/eventually.h"
#include "tests/support/log_folder_order.h"
#include "tests/support/strace_trace.h"

namespace indoubt::testing {
namespace {

constexpr const char* kFolderVariable = "INDOUBT_TRACED_LOG";
constexpr auto kLimit = std::chrono::seconds(60);

// What is traced: this program again, which then does only this.
void RotateManyTimes(const std::string& folder) {
  const auto log = OpenFileLog(PosixFileSystem(), folder,
                               {.node = "a", .segment_bytes = log_format::kMinSegmentBytes});
  ASSERT_TRUE(log.has_value()) << log.error().ToString();
  for (uint64_t number = 1; number <= 100; ++number) {
    const Gid gid{"a", (*log)->id(), (*log)->incarnation(), number};
    std::promise<DecisionOutcome> decided;
    (*log)->Decide(gid, DecisionOutcome::kCommitted, {{"accounts", "731"}},
                   [&](DecisionOutcome outcome, const Status&) { decided.set_value(outcome); });
    ASSERT_EQ(decided.get_future().get(), DecisionOutcome::kCommitted);
    (*log)->End(gid);
  }
}

std::vector<TraceEvent> TraceRotations(const ScratchFolder& scratch) {
  const std::string trace = scratch.path() + "/trace";
  ProcessSpec spec;
  spec.argv = StraceCommand(trace);
  spec.argv.push_back(std::filesystem::read_symlink("/proc/self/exe").string());
  spec.environment = {{kFolderVariable, scratch.path() + "/log"}};
  const auto ran = RunProgram(spec, SystemClock().Now() + kLimit);
  EXPECT_TRUE(ran.has_value()) << ran.error().ToString();
  EXPECT_TRUE(Eventually([&] { return TraceHasEnded(trace); }, kLimit));
  auto events = LoadTraceEvents(trace);
  EXPECT_TRUE(events.has_value()) << events.error().ToString();
  return events.value_or(std::vector<TraceEvent>());
}

/// Groups that were begun before an earlier one of the log was synced.
int BegunTooEarly(const std::vector<TraceEvent>& events, const std::string& folder,
                  int& groups) {
  int too_early = 0;
  bool unsynced = false;
  for (const TraceEvent& event : events) {
    if (!event.path.starts_with(folder + "/segment-")) continue;
    if (event.kind == TraceEvent::Kind::kSync) unsynced = false;
    if (event.kind != TraceEvent::Kind::kWrite || !event.bytes.starts_with("IDTG")) continue;
    ++groups;
    too_early += unsynced ? 1 : 0;
    unsynced = true;
  }
  return too_early;
}

TEST(LogStrace, EveryRotationAndEveryGroupIsSyncedBeforeWhatReliesOnIt) {
  if (const char* traced = std::getenv(kFolderVariable)) return RotateManyTimes(traced);
  const ScratchFolder scratch("indoubt-log-strace");
  const std::string folder = scratch.path() + "/log";
  std::vector<TraceEvent> events = TraceRotations(scratch);
  const OrderReport report = CheckNewSegments(events, folder);
  for (const std::string& line : report.held) fmt::print("{}\n", line);
  for (const std::string& line : report.violations) ADD_FAILURE() << line;
  EXPECT_GE(report.held.size(), 5u) << "the first segment and several rotations";
  int groups = 0;
  EXPECT_EQ(BegunTooEarly(events, folder, groups), 0);
  EXPECT_GE(groups, 100);

  // Without the folder's syncs all of it is found, and without the segments' as well.
  std::erase_if(events, [&](const TraceEvent& event) {
    return event.kind == TraceEvent::Kind::kSync && event.path == folder;
  });
  EXPECT_EQ(CheckNewSegments(events, folder).violations.size(), report.held.size());
  std::erase_if(events,
                [](const TraceEvent& event) { return event.kind == TraceEvent::Kind::kSync; });
  int again = 0;
  EXPECT_EQ(BegunTooEarly(events, folder, again), groups - 1);
}

}  // namespace
}  // namespace indoubt::testing
