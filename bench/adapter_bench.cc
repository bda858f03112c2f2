// An adapter alone on a real store: what one prepare costs, and how many prepares with
// their commits a second it makes, one at a time and 32 at once.
#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/adapter_store.h"
#include "bench/benches.h"
#include "bench/world.h"

namespace indoubt::bench {
namespace {

constexpr int kAtOnce = 32;
constexpr double kPrepareOverSyncUs = 250;
constexpr auto kLimit = std::chrono::seconds(60);

/// What is asked of an adapter at 32 in flight; 0: nothing.
struct Asked {
  double over_alone = 0;
  double per_second_at_200_us = 0;  // of a fdatasync
};

double Us(Duration duration) { return static_cast<double>(duration.count()) / 1000; }

double Median(std::vector<Duration>& times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return Us(*middle);
}

/// Clients of one participant, each with a number of its own, that prepare and commit in a
/// closed loop.
class PrepareAndCommit {
 public:
  PrepareAndCommit(AdapterStore& store, int clients, uint64_t transactions)
      : store_(store), transactions_(transactions), branches_(static_cast<size_t>(clients)) {}

  /// Returns how many did not commit, and waits for the last.
  uint64_t Run() {
    for (size_t client = 0; client < branches_.size(); ++client) Next(client);
    while (ended_.load(std::memory_order_acquire) < branches_.size()) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return failed_;
  }

  static Gid NewGid() {
    static const LogId log = LogId::Random();
    static std::atomic<uint64_t> number{0};
    return {.node = "bench-1", .log = log, .incarnation = 1, .number = ++number};
  }

 private:
  void Next(size_t client) {
    if (begun_.fetch_add(1, std::memory_order_relaxed) >= transactions_) {
      branches_[client].reset();
      ended_.fetch_add(1, std::memory_order_release);
      return;
    }
    const Gid gid = NewGid();
    branches_[client] = store_.participant().Begin(gid, SystemClock().Now() + kLimit);
    branches_[client]->Prepare(
        {store_.Add(static_cast<int>(client))}, [this, client, gid](const PrepareReply& reply) {
          if (reply.vote.kind != VoteKind::kYes) {
            failed_.fetch_add(1, std::memory_order_relaxed);
            return Next(client);
          }
          store_.participant().Commit(gid, reply.vote.token, SystemClock().Now() + kLimit,
                                      [this, client, gid](const Ack& ack) {
                                        if (ack.kind != AckKind::kDone) failed_.fetch_add(1);
                                        store_.participant().Forget(gid);
                                        Next(client);
                                      });
        });
  }

  AdapterStore& store_;
  const uint64_t transactions_;
  std::vector<std::unique_ptr<Branch>> branches_;
  std::atomic<uint64_t> begun_{0}, failed_{0};
  std::atomic<size_t> ended_{0};
};

/// One at a time on this thread, so that prepare and commit are timed apart.
class Alone {
 public:
  explicit Alone(AdapterStore& store) : store_(store) {}

  bool Once() {
    const Gid gid = PrepareAndCommit::NewGid();
    const TimePoint began = SystemClock().Now();
    const auto branch = store_.participant().Begin(gid, began + kLimit);
    std::promise<Vote> vote;
    branch->Prepare({store_.Add(0)},
                    [&vote](const PrepareReply& reply) { vote.set_value(reply.vote); });
    const Vote voted = vote.get_future().get();
    const TimePoint prepared = SystemClock().Now();
    if (voted.kind != VoteKind::kYes) return false;
    std::promise<AckKind> ack;
    store_.participant().Commit(gid, voted.token, prepared + kLimit,
                                [&ack](const Ack& told) { ack.set_value(told.kind); });
    const bool done = ack.get_future().get() == AckKind::kDone;
    prepares.push_back(prepared - began);
    commits.push_back(SystemClock().Now() - prepared);
    store_.participant().Forget(gid);
    return done;
  }

  std::vector<Duration> prepares, commits;

 private:
  AdapterStore& store_;
};

void PrepareAndCommitOf(benchmark::State& state, StoreKind kind, Asked asked) {
  AdapterStore store(kind, kAtOnce);
  const uint64_t each = TheSettings().small ? 5 : 100;
  const uint64_t many = TheSettings().small ? 64 : 3000;
  Alone alone(store);
  std::vector<Duration> syncs;
  double alone_s = 0, many_s = 0;
  uint64_t alone_count = 0, many_count = 0, failed = 0;
  for (int i = 0; i < 20; ++i) failed += alone.Once() ? 0 : 1;  // connections, statements
  uint64_t committed = 20;
  alone.prepares.clear();
  alone.commits.clear();
  // In turns, so that all meet the same moods of the disk.
  for (auto _ : state) {
    const TimePoint began = SystemClock().Now();
    for (uint64_t i = 0; i < each; ++i) {
      syncs.push_back(store.probe().Once());
      const TimePoint from = SystemClock().Now();
      failed += alone.Once() ? 0 : 1;
      alone_s += Us(SystemClock().Now() - from) * 1e-6;
    }
    alone_count += each;
    const TimePoint from = SystemClock().Now();
    failed += PrepareAndCommit(store, kAtOnce, many).Run();
    many_s += Us(SystemClock().Now() - from) * 1e-6;
    many_count += many;
    state.SetIterationTime(Us(SystemClock().Now() - began) * 1e-6);
  }
  committed += alone_count + many_count;
  const auto left = store.participant().ListPrepared(SystemClock().Now() + kLimit);
  if (failed > 0 || !left || !left->empty() || store.Sum() != std::to_string(committed)) {
    Fail(state, "not every transaction committed once: " + std::to_string(committed) +
                    " begun, " + std::to_string(failed) + " failed, sum " + store.Sum());
  }
  const double sync_us = Median(syncs);
  const double alone_per_s = static_cast<double>(alone_count) / alone_s;
  const double many_per_s = static_cast<double>(many_count) / many_s;
  state.counters["fdatasync_p50_us"] = sync_us;
  state.counters["prepare_p50_us"] = Median(alone.prepares);
  state.counters["bound_prepare_us"] = sync_us + kPrepareOverSyncUs;
  state.counters["commit_p50_us"] = Median(alone.commits);
  state.counters["alone_per_s"] = alone_per_s;
  state.counters["at_32_per_s"] = many_per_s;
  state.counters["at_32_over_alone"] = many_per_s / alone_per_s;
  if (asked.over_alone > 0) {
    state.counters["bound_over_alone"] = asked.over_alone;
    state.counters["bound_per_s"] = asked.per_second_at_200_us * 200 / sync_us;
  }
}

}  // namespace

void RegisterAdapterBenches() {
  const int rounds = TheSettings().small ? 1 : 5;
  const auto add = [rounds](const char* name, StoreKind kind, Asked asked) {
    benchmark::RegisterBenchmark(name, PrepareAndCommitOf, kind, asked)
        ->UseManualTime()
        ->Iterations(rounds)
        ->Unit(benchmark::kMillisecond);
  };
  add("adapter_postgres", StoreKind::kPostgres, {});
  add("adapter_redis", StoreKind::kRedis, {8, 7'000});
  add("adapter_sqlite", StoreKind::kSqlite, {6, 5'000});
}

}  // namespace indoubt::bench
