// A view's thread over a view that fails as it is told to.
#include "cdc/views/view_runner.h"

#include <gtest/gtest.h>

#include "cdc/log/sqlite_event_log.h"
#include "cdc/sqlite_handle.h"
#include "faults/process.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using cdc_internal::StopSignal;
using cdc_internal::ViewRunner;

/// Nobody asks it for more than to be opened and written.
class PlainView : public View {
 public:
  explicit PlainView(const EventLog& log) : log_(log) {}

  const std::string& name() const override { return name_; }
  Result<ViewPosition> Open() override { return ViewPosition{log_.id(), at_}; }
  Status Apply(const std::vector<LoggedEvent>&, const ViewPosition& to) override {
    at_ = to.position;
    return Status::Ok();
  }
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
  const std::string name_ = "view";
  EventPosition at_;
};

/// As a Redis view that a rebuild swaps while its hold is seen: a write fails for the hold,
/// the next look finds another position, and from then on it wants to be opened anew.
class SwappedView final : public PlainView {
 public:
  using PlainView::PlainView;

  Result<ViewPosition> Open() override {
    ++opened_;
    return PlainView::Open();
  }
  Status Apply(const std::vector<LoggedEvent>& events, const ViewPosition& to) override {
    hold_changed_ = opened_ == 1;
    if (hold_changed_) return Status(StatusCode::kLocked, "a hold came");
    return PlainView::Apply(events, to);
  }
  Result<std::optional<EventPosition>> Held() override {
    if (hold_changed_ && opened_ == 1) return Status(StatusCode::kAborted, "it was moved");
    return std::optional<EventPosition>();
  }
  bool hold_changed() const override { return hold_changed_; }

 private:
  int opened_ = 0;
  bool hold_changed_ = false;
};

/// A reader holds it at `held` for good.
class HeldView final : public PlainView {
 public:
  HeldView(const EventLog& log, EventPosition held) : PlainView(log), held_(held) {}
  Result<std::optional<EventPosition>> Held() override { return std::optional(held_); }

 private:
  const EventPosition held_;
};

class ViewRunnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto log = OpenSqliteEventLog(path_);
    ASSERT_TRUE(log) << log.error().ToString();
    log_ = std::move(*log);
    events::SnapshotProgress progress;
    progress.set_lsn(10);
    ASSERT_TRUE(log_->BeginSnapshot("slot").ok());
    ASSERT_TRUE(log_->FinishSnapshot(progress).ok());
  }
  void TearDown() override {
    stop_.Set();
    log_->Interrupt();
    if (runner_) runner_->Join();
  }
  void Append(uint64_t lsn) {
    events::Transaction transaction;
    transaction.set_commit_end_lsn(lsn);
    ASSERT_TRUE(log_->Append({transaction}).ok());
  }
  void Follow(std::unique_ptr<View> view) {
    ViewOptions options;
    options.name = view->name();
    runner_ = std::make_unique<ViewRunner>(options, std::move(view), std::vector<std::string>(),
                                           cdc_internal::ViewCopier(), *log_, stop_);
  }

  const ScratchFolder folder_{"indoubt-view-runner"};
  const std::string path_ = folder_.path() + "/events.db";
  std::unique_ptr<EventLog> log_;
  StopSignal stop_;
  std::unique_ptr<ViewRunner> runner_;
};

TEST_F(ViewRunnerTest, AViewThatIsSwappedWhileItsHoldComesIsOpenedAnewAndGoesOn) {
  Append(20);
  Follow(std::make_unique<SwappedView>(*log_));
  EXPECT_TRUE(Eventually([&] { return runner_->state().position.lsn == Lsn{20}; }))
      << runner_->state().health.ToString();
}

TEST_F(ViewRunnerTest, AHeldViewComesToTheHoldExactlyAndNoFurther) {
  Append(20);
  Append(30);
  Follow(std::make_unique<HeldView>(*log_, EventPosition{Lsn{25}, 0}));
  EXPECT_TRUE(Eventually([&] { return runner_->state().position.lsn == Lsn{25}; }))
      << runner_->state().health.ToString();
}

TEST_F(ViewRunnerTest, AHeldViewMovesOverNoEventThatTheLogHasLost) {
  Append(20);
  Append(30);
  auto file = cdc_internal::SqliteDatabase::Open(
      path_, cdc_internal::SqliteDatabase::Mode::kDurableWriter);
  ASSERT_TRUE(file) << file.error().ToString();
  ASSERT_TRUE((*file)->Execute("DELETE FROM events").ok());
  Follow(std::make_unique<HeldView>(*log_, EventPosition{Lsn{25}, 0}));
  EXPECT_TRUE(Eventually([&] {
    return runner_->state().health.code() == StatusCode::kCorrupt;
  })) << runner_->state().health.ToString();
  EXPECT_NE(runner_->state().health.message().find("the event log ends before its end"),
            std::string::npos);
  EXPECT_EQ(runner_->state().position, EventPosition{});
}

}  // namespace
}  // namespace indoubt
