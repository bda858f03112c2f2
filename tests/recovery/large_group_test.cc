// Groups that the log answers on threads for that, beside the next one's sync.
#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "tests/recovery/log_fixture.h"

namespace indoubt {
namespace {

using Operation = FakeFileSystem::Operation;

/// A group that is too large to be answered where it was synced: all that is proposed
/// while one sync lasts.
class LargeGroupTest : public LogFixture {
 protected:
  static constexpr int kGroup = 200;
  /// Groups of fewer are answered where they were synced.
  static constexpr int kLarge = 64;

  /// Proposes kGroup commits behind a sync under way, which goes on with LetSync.
  void ProposeBehindASync(std::function<void(DecisionOutcome)> answer) {
    Open();
    disk_.SetFault(
        [this, held = go_.get_future().share()](Operation asked, const std::string&) {
          if (asked != Operation::kSync) return Status::Ok();
          if (const int before = syncs_++; before > 0) return on_sync_(before);
          syncing_.set_value();
          held.wait();
          return Status::Ok();
        });
    first_ = std::thread([this] { Committed(); });
    syncing_.get_future().wait();
    number_ += 100;  // apart from the gid of that thread's
    for (int i = 0; i < kGroup; ++i) {
      log_->Decide(NewGid(), DecisionOutcome::kCommitted, Branches(),
                   [answer](DecisionOutcome outcome, const Status&) { answer(outcome); });
    }
  }
  void LetSync() {
    go_.set_value();
    first_.join();
  }

  /// Of the syncs after that one; the first of them is the group's.
  std::function<Status(int)> on_sync_ = [](int) { return Status::Ok(); };

 private:
  std::promise<void> syncing_, go_;
  std::atomic<int> syncs_{0};
  std::thread first_;
};

TEST_F(LargeGroupTest, OthersAreSyncedAndAnsweredWhileItIsBeingAnswered) {
  std::promise<void> answering, other;
  std::promise<int> all;
  int committed = 0;
  ProposeBehindASync([&](DecisionOutcome outcome) {
    if (committed == 0) {
      answering.set_value();
      other.get_future().wait();
    }
    committed += outcome == DecisionOutcome::kCommitted ? 1 : 0;
    if (committed == kGroup) all.set_value(committed);
  });
  LetSync();
  answering.get_future().wait();
  {
    const WithinCallback not_alone;  // else this thread might sync by itself
    EXPECT_EQ(Decide(NewGid()).first, DecisionOutcome::kCommitted);
  }
  other.set_value();
  EXPECT_EQ(all.get_future().get(), kGroup);
}

TEST_F(LargeGroupTest, AnswersMayProposeMoreThanAGroup) {
  std::atomic<int> answered{0};
  std::promise<void> all;
  const auto count = [&] {
    if (++answered == 3 * kGroup) all.set_value();
  };
  ProposeBehindASync([&](DecisionOutcome) {
    for (int i = 0; i < 2; ++i) {
      log_->Decide(NewGid(), DecisionOutcome::kCommitted, Branches(),
                   [&](DecisionOutcome outcome, const Status&) {
                     EXPECT_EQ(outcome, DecisionOutcome::kCommitted);
                     count();
                   });
    }
    count();
  });
  LetSync();
  all.get_future().wait();
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_EQ(Unended().size(), size_t{3 * kGroup + 1});
}

TEST_F(LargeGroupTest, WhatOneThreadsAnswersHaveBegunIsSharedWithAnother) {
  std::promise<void> all_begun, all;
  on_sync_ = [begun = all_begun.get_future().share()](int sync) {
    if (sync > 1) begun.wait();  // so that they are one group, but for what came at once
    return Status::Ok();
  };
  std::atomic<int> answered{0};
  std::mutex mutex;
  std::map<std::thread::id, int> answers;
  int begun = 0;
  ProposeBehindASync([&](DecisionOutcome) {
    log_->Decide(NewGid(), DecisionOutcome::kCommitted, Branches(),
                 [&](DecisionOutcome outcome, const Status&) {
                   EXPECT_EQ(outcome, DecisionOutcome::kCommitted);
                   {
                     const std::lock_guard lock(mutex);
                     ++answers[std::this_thread::get_id()];
                   }
                   if (++answered == kGroup) all.set_value();
                 });
    if (++begun == kGroup) all_begun.set_value();
  });
  LetSync();
  all.get_future().wait();
  const auto shares = std::count_if(answers.begin(), answers.end(),
                                    [](const auto& thread) { return thread.second >= kLarge; });
  EXPECT_EQ(shares, 2);
}

TEST_F(LargeGroupTest, IsInDoubtAsAWholeAfterAFailedSync) {
  std::atomic<int> unknown{0}, others{0};
  on_sync_ = [](int) { return Status(StatusCode::kIoError, "injected"); };
  ProposeBehindASync([&](DecisionOutcome outcome) {
    ++(outcome == DecisionOutcome::kUnknown ? unknown : others);
  });
  LetSync();
  EXPECT_EQ(Decide(NewGid()).first, DecisionOutcome::kUnknown);
  log_.reset();
  EXPECT_EQ(unknown, kGroup);
  EXPECT_EQ(others, 0);
}

TEST_F(LargeGroupTest, IsAnsweredBeforeTheLogHasEnded) {
  std::atomic<int> committed{0};
  ProposeBehindASync([&](DecisionOutcome outcome) {
    committed += outcome == DecisionOutcome::kCommitted ? 1 : 0;
  });
  LetSync();
  log_.reset();
  EXPECT_EQ(committed, kGroup);
}

TEST_F(LargeGroupTest, WhatItsAnswersProposeWhileTheLogEndsIsAnsweredToo) {
  std::atomic<int> committed{0};
  const auto count = [&](DecisionOutcome outcome) {
    committed += outcome == DecisionOutcome::kCommitted ? 1 : 0;
  };
  DecisionLog* log = nullptr;
  ProposeBehindASync([&](DecisionOutcome outcome) {
    count(outcome);
    const Gid gid{"shop-1", log->id(), log->incarnation(), ++number_};
    log->Decide(gid, DecisionOutcome::kCommitted, Branches(),
                [&](DecisionOutcome next, const Status&) { count(next); });
  });
  log = log_.get();
  LetSync();
  log_.reset();
  EXPECT_EQ(committed, 2 * kGroup);
}

/// Tells when the thread that made it ends.
struct EndOfThread {
  std::promise<void>& told;
  ~EndOfThread() { told.set_value(); }
};

// The last answers are given on the thread that ends the log, where nobody else makes room.
TEST_F(LargeGroupTest, AnAnswerWhileTheLogEndsMayAskForMoreThanTheQueueHolds) {
  constexpr int kMoreThanItHolds = (1 << 16) + 1;
  std::promise<void> flusher_known, flusher_ended;
  DecisionLog* log = nullptr;
  bool first = true;
  int answered = 0;
  ProposeBehindASync([&](DecisionOutcome) {
    if (!std::exchange(first, false)) return;
    log->FlushEnds([&](const Status&) {
      thread_local const EndOfThread flusher{flusher_ended};
      flusher_known.set_value();
    });
    flusher_ended.get_future().wait();
    log->FlushEnds([&](const Status&) {
      for (int i = 0; i < kMoreThanItHolds; ++i) {
        log->FlushEnds([&](const Status& flushed) { answered += flushed.ok() ? 1 : 0; });
      }
    });
  });
  log = log_.get();
  LetSync();
  flusher_known.get_future().wait();
  log_.reset();
  EXPECT_EQ(answered, kMoreThanItHolds);
}

}  // namespace
}  // namespace indoubt
