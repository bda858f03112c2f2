// Runs of scenarios on real stores, in a folder that goes with the test.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "experiments/run.h"
#include "faults/process.h"

namespace indoubt {

/// A discarded value when it is not there or no JSON.
inline nlohmann::json ReadJson(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file, nullptr, false);
}

class RunTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* binary = std::getenv("INDOUBT_BINARY");
    ASSERT_NE(binary, nullptr) << "ctest sets INDOUBT_BINARY";
    signal(SIGPIPE, SIG_IGN);  // as the program does: a closed connection is an error value
    options_.binary = binary;
    options_.out_folder = folder_.path() + "/runs";
    options_.argv = {"indoubt", "run", "short file.toml"};
  }
  ScratchFolder folder_{"indoubt-run-test"};
  RunOptions options_;
};

}  // namespace indoubt
