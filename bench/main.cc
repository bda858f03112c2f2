// indoubt-bench [--data=FOLDER] [--small] [--benchmark_...]
//
// The coordinator and its log over stores in memory and a real disk. Each benchmark
// prints its figure beside the bound that was measured in the same run; docs/performance.md
// says how to read them.
#include <cstdio>
#include <string>
#include <string_view>

#include <benchmark/benchmark.h>

#include "bench/benches.h"
#include "bench/world.h"

namespace {

bool failed = false;

/// Takes our own options out of the command line.
void ReadOptions(int& argc, char** argv) {
  constexpr std::string_view kData = "--data=";
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option.starts_with(kData)) {
      indoubt::bench::TheSettings().data = option.substr(kData.size());
    } else if (option == "--small") {
      indoubt::bench::TheSettings().small = true;
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
}

}  // namespace

namespace indoubt::bench {

void Fail(benchmark::State& state, const std::string& why) {
  failed = true;
  state.SkipWithError(why.c_str());
}

}  // namespace indoubt::bench

int main(int argc, char** argv) {
  ReadOptions(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    std::fprintf(stderr, "indoubt-bench [--data=FOLDER] [--small] [--benchmark_...]\n");
    return 2;
  }
  indoubt::bench::RegisterCommitBenches();
  indoubt::bench::RegisterOpenBenches();
  indoubt::bench::RegisterAdapterBenches();
  const size_t run = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return run == 0 || failed ? 1 : 0;
}
