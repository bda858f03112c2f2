// Committing: how long one takes alone, and how many a second many at a time make.
#include <algorithm>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/benches.h"
#include "bench/load.h"
#include "bench/world.h"

namespace indoubt::bench {
namespace {

// What is asked for. A slower disk lowers the second one: half of what 400 in flight
// could do if nothing but the sync took time.
constexpr double kAloneOverSyncUs = 30;
constexpr double kAsyncPerSecond = 400'000;
constexpr double kBlockingPerSecond = 150'000;
constexpr double kCommitsPerSync = 128;

double Us(Duration duration) { return static_cast<double>(duration.count()) / 1000; }

Duration Percentile(std::vector<Duration>& times, double part) {
  const auto place =
      times.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), place, times.end());
  return *place;
}

/// Processor time of the process so far, all threads.
double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Fails the benchmark unless every transaction committed at every store.
void Judge(benchmark::State& state, World& world, uint64_t committed) {
  world.coordinator().Drain(SystemClock().Now() + std::chrono::seconds(10));
  if (const std::string wrong = world.Wrong(committed); !wrong.empty()) {
    Fail(state, wrong);
  }
}

void CommitAlone(benchmark::State& state) {
  World world;
  world.Start();
  const uint64_t each = TheSettings().small ? 5 : 100;
  std::vector<Duration> commits, syncs;
  uint64_t log_syncs = 0;
  // In turns, so that both meet the same moods of the disk.
  for (auto _ : state) {
    for (uint64_t i = 0; i < each; ++i) syncs.push_back(world.probe().Once());
    const uint64_t before = world.files().syncs();
    const auto times = RunOneByOne(world.coordinator(), World::Request, each);
    log_syncs += world.files().syncs() - before;
    Duration sum{};
    for (const Duration time : times) sum += time;
    state.SetIterationTime(Us(sum) * 1e-6);
    commits.insert(commits.end(), times.begin(), times.end());
  }
  Judge(state, world, commits.size());
  const double sync_us = Us(Percentile(syncs, 0.5));
  const double commit_us = Us(Percentile(commits, 0.5));
  state.counters["fdatasync_p50_us"] = sync_us;
  state.counters["commit_p50_us"] = commit_us;
  state.counters["commit_p99_us"] = Us(Percentile(commits, 0.99));
  state.counters["over_fdatasync_us"] = commit_us - sync_us;
  state.counters["bound_us"] = sync_us + kAloneOverSyncUs;
  state.counters["ratio"] = commit_us / (sync_us + kAloneOverSyncUs);
  state.counters["syncs_per_commit"] =
      static_cast<double>(log_syncs) / static_cast<double>(commits.size());
}

/// Runs `load` of that many transactions once an iteration, and judges its rate.
template <typename Load>
void CommitMany(benchmark::State& state, uint64_t transactions, Load load,
                double (*bound_per_second)(double sync_s)) {
  World world;
  world.Start();
  std::vector<Duration> syncs;
  const int probes = TheSettings().small ? 3 : 200;
  uint64_t committed = 0, log_syncs = 0, log_bytes = 0;
  double seconds = 0, processor = 0;
  load(world.coordinator(), transactions / 10);  // warm
  committed += transactions / 10;
  for (auto _ : state) {
    for (int i = 0; i < probes; ++i) syncs.push_back(world.probe().Once());
    const uint64_t syncs_before = world.files().syncs();
    const uint64_t bytes_before = world.files().written_bytes();
    const double processor_before = ProcessorSeconds();
    const TimePoint began = SystemClock().Now();
    const uint64_t lost = load(world.coordinator(), transactions);
    const double took = Us(SystemClock().Now() - began) * 1e-6;
    processor += ProcessorSeconds() - processor_before;
    state.SetIterationTime(took);
    seconds += took;
    committed += transactions;
    log_syncs += world.files().syncs() - syncs_before;
    log_bytes += world.files().written_bytes() - bytes_before;
    if (lost > 0) {
      Fail(state, "not every transaction committed");
      break;
    }
  }
  Judge(state, world, committed);
  const uint64_t warm_up = transactions / 10;
  const double timed = static_cast<double>(committed - warm_up);
  const double sync_us = Us(Percentile(syncs, 0.5));
  const double bound = bound_per_second(sync_us * 1e-6);
  state.counters["fdatasync_p50_us"] = sync_us;
  state.counters["commits_per_s"] = timed / seconds;
  state.counters["bound_per_s"] = bound;
  state.counters["ratio"] = timed / seconds / bound;
  state.counters["commits_per_sync"] = timed / static_cast<double>(log_syncs);
  state.counters["processor_us_per_commit"] = processor / timed * 1e6;
  state.counters["log_bytes_per_commit"] = static_cast<double>(log_bytes) / timed;
}

double AsyncBound(double sync_s) { return std::min(kAsyncPerSecond, 0.5 * 400 / sync_s); }
double BlockingBound(double) { return kBlockingPerSecond; }

void CommitAsync(benchmark::State& state, Resubmit resubmit) {
  CommitMany(
      state, TheSettings().small ? 2'000 : 400'000,
      [resubmit](Coordinator& coordinator, uint64_t transactions) {
        return RunInFlight(coordinator, World::Request, transactions, 400, resubmit);
      },
      AsyncBound);
  state.counters["bound_commits_per_sync"] = kCommitsPerSync;
}

void CommitBlocking(benchmark::State& state) {
  const int threads = TheSettings().small ? 16 : 256;
  CommitMany(
      state, TheSettings().small ? 1'000 : 200'000,
      [threads](Coordinator& coordinator, uint64_t transactions) {
        return RunBlocking(coordinator, World::Request, transactions, threads);
      },
      BlockingBound);
}

/// Resident memory every tenth of the way; what grew after the first tenth.
void Memory(benchmark::State& state) {
  World world;
  world.Start();
  const uint64_t transactions = TheSettings().small ? 5'000 : 10'000'000;
  std::vector<uint64_t> resident;
  for (auto _ : state) {
    const TimePoint began = SystemClock().Now();
    uint64_t lost = 0;
    for (int tenth = 0; tenth < 10; ++tenth) {
      lost += RunInFlight(world.coordinator(), World::Request, transactions / 10, 400,
                          Resubmit::kCallback);
      resident.push_back(ResidentBytes());
    }
    state.SetIterationTime(Us(SystemClock().Now() - began) * 1e-6);
    if (lost > 0) {
      Fail(state, "not every transaction committed");
      break;
    }
  }
  Judge(state, world, transactions * state.iterations());
  constexpr double kMib = 1 << 20;
  for (size_t i = 0; i < 10; ++i) {
    state.counters["resident_mib_" + std::to_string(i + 1)] =
        static_cast<double>(resident[i]) / kMib;
  }
  const double grown = static_cast<double>(resident.back()) - static_cast<double>(resident[0]);
  const double later = static_cast<double>(transactions) * 0.9;
  state.counters["grown_bytes_per_transaction"] = grown / later;
  // The log remembers ended gids for outcome_retention: a bit each, in blocks.
  state.counters["bound_bytes_per_transaction"] = 1;
}

}  // namespace

void RegisterCommitBenches() {
  const int rounds = TheSettings().small ? 1 : 20;
  benchmark::RegisterBenchmark("commit_alone", CommitAlone)
      ->UseManualTime()
      ->Iterations(rounds)
      ->Unit(benchmark::kMillisecond);
  const int loads = TheSettings().small ? 1 : 5;
  benchmark::RegisterBenchmark("commit_400_by_callback", CommitAsync, Resubmit::kCallback)
      ->UseManualTime()
      ->Iterations(loads)
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("commit_400_by_thread", CommitAsync, Resubmit::kThread)
      ->UseManualTime()
      ->Iterations(loads)
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("commit_256_threads", CommitBlocking)
      ->UseManualTime()
      ->Iterations(loads)
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("memory", Memory)
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace indoubt::bench
