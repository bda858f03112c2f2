// The benchmarks of bench/, to be registered once TheSettings() are made.
#pragma once

#include <string>

#include <benchmark/benchmark.h>

namespace indoubt::bench {

void RegisterCommitBenches();
void RegisterOpenBenches();
void RegisterAdapterBenches();

/// Reports a benchmark that did not do what it measures; the program then ends with 1.
/// Leave the loop after it.
void Fail(benchmark::State& state, const std::string& why);

}  // namespace indoubt::bench
