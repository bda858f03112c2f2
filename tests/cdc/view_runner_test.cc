// A view's thread over a view that fails as it is told to.
#include "cdc/views/view_runner.h"

#include <gtest/gtest.h>

#include "cdc/log/sqlite_event_log.h"
#include "faults/process.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using cdc_internal::StopSignal;
using cdc_internal::ViewRunner;

/// As a Redis view that a rebuild swaps while its hold is seen: a write fails for the hold,
/// the next look finds another position, and from then on it wants to be opened anew.
class SwappedView final : public View {
 public:
  explicit SwappedView(const EventLog& log) : log_(log) {}

  const std::string& name() const override { return name_; }
  Result<ViewPosition> Open() override {
    ++opened_;
    return ViewPosition{log_.id(), at_};
  }
  Status Apply(const std::vector<LoggedEvent>&, const ViewPosition& to) override {
    hold_changed_ = opened_ == 1;
    if (hold_changed_) return Status(StatusCode::kLocked, "a hold came");
    at_ = to.position;
    return Status::Ok();
  }
  Result<std::optional<EventPosition>> Held() override {
    if (hold_changed_ && opened_ == 1) return Status(StatusCode::kAborted, "it was moved");
    return std::optional<EventPosition>();
  }
  bool hold_changed() const override { return hold_changed_; }

  Status Begin() override { return Unexpected(); }
  Status Add(const std::vector<LoggedEvent>&) override { return Unexpected(); }
  Status Commit(const ViewPosition&) override { return Unexpected(); }
  Result<std::vector<ParkedEvent>> Parked() override { return std::vector<ParkedEvent>(); }
  Status Park(const ParkedEvent&, const ViewPosition&) override { return Unexpected(); }
  Status ApplyParked(const LoggedEvent&) override { return Unexpected(); }
  Result<bool> RetryAsked() override { return false; }
  Status EndRetry() override { return Unexpected(); }
  Status Clear(const std::vector<std::string>&, const ViewPosition&) override {
    return Unexpected();
  }

 private:
  static Status Unexpected() { return Status(StatusCode::kInternal, "nobody asks for this"); }

  const EventLog& log_;
  const std::string name_ = "swapped";
  int opened_ = 0;
  bool hold_changed_ = false;
  EventPosition at_;
};

TEST(ViewRunner, AViewThatIsSwappedWhileItsHoldComesIsOpenedAnewAndGoesOn) {
  const ScratchFolder folder("indoubt-view-runner");
  const auto log = OpenSqliteEventLog(folder.path() + "/events.db");
  ASSERT_TRUE(log) << log.error().ToString();
  events::SnapshotProgress progress;
  progress.set_lsn(10);
  ASSERT_TRUE((*log)->BeginSnapshot("slot").ok());
  ASSERT_TRUE((*log)->FinishSnapshot(progress).ok());
  events::Transaction transaction;
  transaction.set_commit_end_lsn(20);
  ASSERT_TRUE((*log)->Append({transaction}).ok());

  ViewOptions options;
  options.name = "swapped";
  StopSignal stop;
  ViewRunner runner(options, std::make_unique<SwappedView>(**log), {}, {}, **log, stop);
  EXPECT_TRUE(Eventually([&] { return runner.state().position.lsn == Lsn{20}; }))
      << runner.state().health.ToString();
  stop.Set();
  (*log)->Interrupt();
  runner.Join();
}

}  // namespace
}  // namespace indoubt
