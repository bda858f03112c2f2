// Opening a log that has decided much, and finishing what is not finished in it.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "bench/benches.h"
#include "bench/load.h"
#include "bench/world.h"

namespace indoubt::bench {
namespace {

constexpr double kReadySeconds = 2, kFinishSeconds = 3;

double Seconds(Duration duration) { return static_cast<double>(duration.count()) * 1e-9; }

/// Decides `decided` commits, prepared at every store; every tenth stays unfinished.
uint64_t Fill(World& world, uint64_t decided) {
  const std::unique_ptr<DecisionLog> log = world.OpenLog();
  const TransactionRequest request = World::Request();
  std::atomic<int> open{0};
  uint64_t unfinished = 0;
  for (uint64_t number = 1; number <= decided; ++number) {
    const Gid gid{"bench-1", log->id(), log->incarnation(), number};
    const bool finish = number % 10 != 0;
    std::vector<BranchRecord> branches;
    for (size_t i = 0; i < World::kStores; ++i) {
      // A finished one needs no store: it has been prepared and committed there.
      Token token = finish ? std::to_string(number) : world.stores()[i].Prepare(gid);
      branches.push_back({request.statements[i].participant, std::move(token)});
    }
    while (open > 5000) std::this_thread::yield();
    ++open;
    log->Decide(gid, DecisionOutcome::kCommitted, std::move(branches),
                [&log = *log, &open, gid, finish](DecisionOutcome outcome, const Status& why) {
                  INDOUBT_CHECK(outcome == DecisionOutcome::kCommitted, why.ToString());
                  if (finish) log.End(gid);
                  --open;
                });
    if (!finish) ++unfinished;
  }
  while (open > 0) std::this_thread::yield();
  return unfinished;  // the log flushes the last end records as it goes
}

/// What is decided is in one segment, however long: the most that a start may have to
/// read. With segments of the usual size it reads what the newest one carries.
void OpenLog(benchmark::State& state, uint64_t segment_bytes) {
  const uint64_t decided = TheSettings().small ? 2'000 : 1'000'000;
  double ready = 0, first_commit = 0, finished = 0;
  for (auto _ : state) {
    World world(segment_bytes);
    const uint64_t unfinished = Fill(world, decided);
    world.ForgetPages();
    const TimePoint began = SystemClock().Now();
    world.Start();
    const TimePoint started = SystemClock().Now();
    RunOneByOne(world.coordinator(), World::Request, 1);
    const TimePoint answered = SystemClock().Now();
    const auto left = [&world] {
      size_t count = 0;
      for (const MemoryStore& store : world.stores()) count += store.prepared_count();
      return count;
    };
    while (left() > 0 || !world.log().Unended().empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      INDOUBT_CHECK(SystemClock().Now() - started < std::chrono::minutes(2),
                    "recovery finishes what is decided");
    }
    const TimePoint ended = SystemClock().Now();
    state.SetIterationTime(Seconds(ended - began));
    ready = std::max(ready, Seconds(started - began));
    first_commit = std::max(first_commit, Seconds(answered - started));
    finished = std::max(finished, Seconds(ended - started));
    if (const std::string wrong = world.Wrong(unfinished + 1); !wrong.empty()) {
      Fail(state, wrong);
      break;
    }
  }
  state.counters["ready_s"] = ready;
  state.counters["bound_ready_s"] = kReadySeconds;
  state.counters["first_commit_s"] = first_commit;
  state.counters["finished_s"] = finished;
  state.counters["bound_finished_s"] = kFinishSeconds;
  state.counters["ratio"] = std::max(ready / kReadySeconds, finished / kFinishSeconds);
}

}  // namespace

void RegisterOpenBenches() {
  benchmark::RegisterBenchmark("open_one_segment", OpenLog, uint64_t{1} << 30)
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("open_usual_segments", OpenLog, uint64_t{16} << 20)
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace indoubt::bench
