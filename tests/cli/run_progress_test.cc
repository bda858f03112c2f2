#include "cli/run_progress.h"

#include <gtest/gtest.h>

namespace indoubt::cli {
namespace {

RunProgress Measuring() {
  RunProgress progress;
  progress.cell = "2pc";
  progress.rep = 1;
  progress.reps = 3;
  progress.done = 2;
  progress.total = 18;
  progress.phase = "measure";
  progress.elapsed_s = 12.4;
  progress.committed = 1200;
  progress.in_flight = 3;
  Observed observed;
  observed.in_doubt = 2;
  observed.in_doubt_oldest = std::chrono::milliseconds(3100);
  observed.waiters = 4;
  observed.lag = {{"stock", std::chrono::milliseconds(120)}, {"ledger", Duration{}}};
  progress.observed = observed;
  progress.fault = "coordinator killed";
  return progress;
}

TEST(ProgressTextTest, HasPhaseRateDoubtWaitersLagAndFault) {
  EXPECT_EQ(
      ProgressText(Measuring(), 98),
      "[  12s] 3/18 2pc rep 1 of 3: measure, 1200 committed, 98/s, 3 in flight, 2 in doubt "
      "(oldest 3.1 s), 4 waiting, lag 120 ms, coordinator killed");
}

TEST(ProgressTextTest, LeavesOutWhatIsNotKnownOrNothing) {
  RunProgress progress = Measuring();
  progress.observed = Observed{};
  progress.fault = "";
  progress.event = "coordinator restarted";
  EXPECT_EQ(ProgressText(progress, std::nullopt),
            "[  12s] 3/18 2pc rep 1 of 3: measure, 1200 committed, 3 in flight, 0 waiting: "
            "coordinator restarted");
  progress.observed.reset();
  progress.event = "";
  progress.phase = "stores";
  EXPECT_EQ(ProgressText(progress, std::nullopt), "[  12s] 3/18 2pc rep 1 of 3: stores");
}

}  // namespace
}  // namespace indoubt::cli
