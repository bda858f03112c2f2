// Many transactions at once over participants that answer on threads of their own
// and lose votes and replies at random, with recovery running beside them; and
// then: all or nothing, everywhere.
#include <random>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "tests/coordinator/fixture.h"

namespace indoubt {
namespace {

/// Two threads that run answers, and a way to wait until none is left.
class Answers {
 public:
  void Run(std::function<void()> answer) {
    ++open_;
    boost::asio::post(pool_, [this, answer = std::move(answer)]() mutable {
      answer();
      answer = nullptr;
      --open_;
    });
  }
  void Drain() const {
    while (open_ > 0) std::this_thread::yield();
  }
  ~Answers() { pool_.join(); }

 private:
  std::atomic<int> open_{0};
  boost::asio::thread_pool pool_{2};
};

class StressTest : public CoordinatorFixture {
 protected:
  ~StressTest() override { coordinator_.reset(); }

  /// Makes every store answer from `answers_` and misbehave by `seed`.
  void Unsettle(uint64_t seed) {
    for (auto& [name, store] : stores_) {
      store.deliver = [this](std::function<void()> answer) { answers_.Run(std::move(answer)); };
      store.drain = [this] { answers_.Drain(); };
      auto random = std::make_shared<std::mt19937_64>(seed++);
      store.chaos = [random](FakeStore& unsettled) {
        const uint64_t dice = (*random)() % 100;
        unsettled.votes.clear();
        if (dice < 5) unsettled.votes = {VoteKind::kNo};
        if (dice >= 5 && dice < 15) unsettled.votes = {VoteKind::kReadOnly};
        if (dice >= 15 && dice < 20) unsettled.votes = {VoteKind::kUnknown};
        unsettled.commit_acks.clear();
        unsettled.rollback_acks.clear();
        if (dice % 10 == 3) unsettled.commit_acks = {AckKind::kRetry};
        if (dice % 10 == 4) unsettled.rollback_acks = {AckKind::kRetry};
      };
    }
  }

  Answers answers_;
};

TEST_F(StressTest, AllOrNothingWhateverIsLost) {
  const uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  options_.recovery_interval = std::chrono::milliseconds(1);
  // Nobody is told "in doubt" for the slowness of the machine, or of a sanitizer.
  options_.apply_timeout = std::chrono::minutes(5);
  Unsettle(seed);
  Start();
  constexpr int kThreads = 3, kEach = 400;
  std::mutex mutex;
  std::map<std::string, Outcome> outcomes;
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        coordinator_->Execute(Request({"a", "b", "c"}), [&](TransactionOutcome outcome) {
          std::lock_guard lock(mutex);
          outcomes[outcome.gid] = outcome.outcome;
          ++answered;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  coordinator_->Drain(In(std::chrono::seconds(100)));
  ASSERT_EQ(answered, kThreads * kEach);
  ASSERT_EQ(outcomes.size(), size_t{kThreads * kEach}) << "each answered once";
  for (auto& [name, store] : stores_) {
    store.With([&name = name, &outcomes](FakeStore& s) {
      EXPECT_TRUE(s.prepared.empty()) << name;
      for (const Gid& gid : s.committed) {
        EXPECT_EQ(outcomes[gid.ToString()], Outcome::kCommitted) << gid.ToString();
        EXPECT_FALSE(s.rolled_back.contains(gid)) << name << " " << gid.ToString();
      }
      for (const Gid& gid : s.rolled_back) {
        EXPECT_EQ(outcomes[gid.ToString()], Outcome::kRolledBack) << gid.ToString();
      }
      return 0;
    });
  }
  EXPECT_TRUE(log_->Unended().empty());
}

}  // namespace
}  // namespace indoubt
