// An event log in a file, past its snapshot: what the tests of the log and of its appender
// begin with.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "cdc/log/sqlite_event_log.h"
#include "faults/process.h"

namespace indoubt {

class EventLogFixture : public testing::Test {
 protected:
  /// Streams behind an empty snapshot at 0/5.
  void SetUp() override {
    Reopen();
    if (HasFatalFailure()) return;
    events::SnapshotProgress progress;
    progress.set_lsn(5);
    ASSERT_TRUE(log_->BeginSnapshot("slot").ok());
    ASSERT_TRUE(log_->FinishSnapshot(progress).ok());
  }
  /// Opens it as a later process would.
  void Reopen() {
    log_.reset();
    auto log = OpenSqliteEventLog(path_);
    ASSERT_TRUE(log) << log.error().ToString();
    log_ = std::move(*log);
  }

  ScratchFolder folder_{"indoubt-event-log"};
  std::string path_ = folder_.path() + "/events.db";
  std::unique_ptr<EventLog> log_;
};

}  // namespace indoubt
