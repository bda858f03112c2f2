// What tests of a summary's figures start from: the sample run, changed, written, summed up.
#pragma once

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "experiments/summary/summary.h"
#include "tests/experiments/sample_run.h"

namespace indoubt {

class SummarisedRunTest : public ::testing::Test {
 protected:
  /// Of the sample as it is now, in a folder of its own.
  nlohmann::json Summary() {
    const TemporaryFolder folder;  // nothing of an earlier sample in it
    sample_.Write(folder.path());
    const auto summary = Summarise(folder.path());
    EXPECT_TRUE(summary) << summary.status().ToString();
    return summary.value_or(nlohmann::json());
  }
  nlohmann::json FirstRep(const std::string& cell) {
    const nlohmann::json summary = Summary();
    for (const nlohmann::json& candidate : summary.at("cells")) {
      if (candidate.at("name") == cell) return candidate.at("reps").at(0);
    }
    ADD_FAILURE() << cell;
    return nlohmann::json();
  }

  SampleRun sample_ = MakeSampleRun();
  TemporaryFolder folder_;
};

}  // namespace indoubt
