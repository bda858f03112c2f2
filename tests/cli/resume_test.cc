// A run that is stopped in the middle, once, twice or by kill -9: what it leaves, and that
// --resume completes it.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "faults/process.h"
#include "tests/experiments/sample_run.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr auto kLimit = std::chrono::seconds(90);
constexpr const char* kScenario = R"(name = "short"
question = "?"
[matrix]
paths = ["2pc", "raw"]
[load]
mode = "closed"
clients = 4
warmup = "100ms"
duration = "1500ms"
[workload]
accounts = 50
items = 50
[[fault]]
at = "100ms"
kind = "kill"
point = { 2pc = "voted" }
down = "200ms"
[stats]
repeat = 9
[[expect]]
check = "2pc.inconsistent.permanent == 0"
)";

json ReadJson(const std::string& path) {
  std::ifstream file(path);
  return json::parse(file, nullptr, false);
}

class ResumeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(scratch());
    std::ofstream(folder_.path() + "/short.toml") << kScenario;
  }
  std::string scratch() const { return folder_.path() + "/scratch"; }

  std::unique_ptr<Process> Start(const std::vector<std::string>& arguments) {
    ProcessSpec spec;
    spec.argv = {std::getenv("INDOUBT_BINARY"), "run"};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.environment = {{"INDOUBT_SCRATCH", scratch()}};
    spec.working_directory = folder_.path();
    spec.output_path = folder_.path() + "/output";
    std::filesystem::remove(spec.output_path);
    auto process = Process::Start(spec);
    EXPECT_TRUE(process) << process.status().ToString();
    return process ? std::move(*process) : nullptr;
  }
  /// Its exit code; the signal's number below 0; 1000 when it did not end.
  static int End(Process& process) {
    const auto end = process.Wait(SystemClock().Now() + kLimit);
    if (!end) return 1000;
    return end->by_signal ? -end->code : end->code;
  }
  std::string Output() const { return ReadText(folder_.path() + "/output"); }

  std::string RunFolder() const { return folder_.path() + "/runs/latest"; }
  json Run() const { return ReadJson(RunFolder() + "/run.json"); }
  std::vector<std::string> Recorded() const {
    std::vector<std::string> dirs;
    const json run = Run();
    if (!run.is_object()) return dirs;
    for (const json& cell : run.at("cells")) {
      for (const json& rep : cell.at("reps")) {
        if (rep.at("status") == "done") dirs.push_back(rep.at("dir"));
      }
    }
    return dirs;
  }
  /// Repetitions that are not recorded and under way: operations of theirs are.
  bool OneIsUnderWay() const {
    const std::vector<std::string> recorded = Recorded();
    std::error_code error;
    for (const char* cell : {"2pc", "raw"}) {
      for (const char* rep : {"rep-1", "rep-2"}) {
        const std::string dir = std::string("cells/") + cell + "/" + rep;
        if (std::count(recorded.begin(), recorded.end(), dir) > 0) continue;
        const auto size =
            std::filesystem::file_size(RunFolder() + "/" + dir + "/ops.ndjson", error);
        if (!error && size > 2000) return true;
      }
    }
    return false;
  }
  /// Waits until, resumed that often, `recorded` repetitions are recorded and the next one has
  /// answers.
  bool IsInTheMiddle(size_t resumed, size_t recorded) const {
    return Eventually(
        [&] {
          const json run = Run();
          return run.is_object() && run.value("resumed", json::array()).size() == resumed &&
                 Recorded().size() >= recorded && OneIsUnderWay();
        },
        kLimit);
  }

  /// Processes that run in the scratch folder or name it.
  std::vector<std::string> Processes() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::error_code error;
      const std::string cwd =
          std::filesystem::read_symlink(entry.path() / "cwd", error).string();
      std::ifstream file(entry.path() / "cmdline");
      const std::string words{std::istreambuf_iterator<char>(file), {}};
      if (cwd.starts_with(scratch()) || words.find(scratch()) != std::string::npos) {
        found.push_back(entry.path().filename().string() + " " + words);
      }
    }
    return found;
  }
  std::vector<std::string> Folders() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(scratch())) {
      found.push_back(entry.path().filename());
    }
    return found;
  }
  void ExpectNothingLeft() const {
    EXPECT_THAT(Processes(), IsEmpty());
    EXPECT_THAT(Folders(), IsEmpty());
  }
  /// Exits 2 with `text`, and starts nothing that stays.
  void ExpectRefused(const std::vector<std::string>& arguments, const std::string& text) {
    const auto process = Start(arguments);
    EXPECT_EQ(End(*process), 2) << Output();
    EXPECT_THAT(Output(), HasSubstr(text));
    ExpectNothingLeft();
  }
  std::string Copy() const {
    const std::string copy = folder_.path() + "/copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(std::filesystem::canonical(RunFolder()), copy,
                          std::filesystem::copy_options::recursive);
    return copy;
  }

  void StopOnce() {
    const auto process = Start({"short.toml", "--repeat", "2"});
    ASSERT_TRUE(IsInTheMiddle(0, 1)) << Output();
    EXPECT_THAT(ReadText(RunFolder() + "/scenario.toml"), HasSubstr("repeat = 2"));
    const auto second = Start({"--resume", RunFolder()});
    EXPECT_EQ(End(*second), 3) << Output();
    EXPECT_THAT(Output(), HasSubstr("still going on in another process"));
    process->Signal(SIGINT);
    EXPECT_EQ(End(*process), 130);
    ExpectNothingLeft();
    EXPECT_EQ(Run().at("status"), "interrupted");
    EXPECT_EQ(ReadJson(RunFolder() + "/summary.json").at("run").at("status"), "interrupted");
    EXPECT_THAT(ReadText(RunFolder() + "/report.md"), HasSubstr("the run is interrupted"));
    EXPECT_TRUE(std::filesystem::exists(RunFolder() + "/report.html"));
  }
  void RefuseWhatCannotBeCompared() {
    const std::string copy = Copy();
    json env = ReadJson(copy + "/env.json");
    env["cores"] = 1000;
    std::ofstream(copy + "/env.json") << env;
    ExpectRefused({"--resume", copy}, "env.cores is 1000 and");
    std::ofstream(copy + "/scenario.toml", std::ios::app) << "# changed\n";
    ExpectRefused({"--resume", copy}, "scenario.toml was changed since it began");
    json run = ReadJson(copy + "/run.json");
    run["version"] = "0.0.1";
    std::ofstream(copy + "/run.json") << run;
    ExpectRefused({"--resume", copy}, "it was begun by indoubt 0.0.1, and this is ");
    ExpectRefused({"--resume", RunFolder(), "--set", "load.clients=8"}, "--set");
    ExpectRefused({"--resume", RunFolder(), "--redis", "redis://127.0.0.1:1"},
                  "it ran on a private server; leave --redis out");
    ExpectRefused({}, "name a SCENARIO");
  }
  void KillInTheMiddle() {
    const auto process = Start({"--resume", RunFolder()});
    ASSERT_TRUE(IsInTheMiddle(1, 1)) << Output();
    process->Signal(SIGKILL);
    EXPECT_EQ(End(*process), -SIGKILL);
    EXPECT_EQ(Run().at("status"), "running");
    EXPECT_TRUE(Eventually([this] { return Processes().empty(); }, kLimit));
    EXPECT_EQ(Folders().size(), 1U) << "of the stores; the next one to resume removes it";
  }
  void StopTwice() {
    const auto process = Start({"--resume", RunFolder()});
    ASSERT_TRUE(IsInTheMiddle(2, 2)) << Output();
    // Two that are pending at once are one: it takes as many as it takes.
    EXPECT_TRUE(Eventually(
        [&] {
          process->Signal(SIGINT);
          return !process->Running();
        },
        kLimit));
    EXPECT_EQ(End(*process), 130) << Output();
    ExpectNothingLeft();
    EXPECT_THAT(Output(), HasSubstr("ended at once"));
    EXPECT_THAT(Output(), HasSubstr("to complete it: indoubt run --resume /"));
    const CommandResult listed =
        RunCommand("'" + std::string(std::getenv("INDOUBT_BINARY")) + "' list runs --out '" +
                   folder_.path() + "/runs' 2>&1");
    EXPECT_THAT(listed.output, HasSubstr("  interrupted  "));
    EXPECT_THAT(listed.output, HasSubstr("was stopped; to complete it: indoubt run --resume"));
  }

  ScratchFolder folder_{"indoubt-resume-test"};
};

TEST_F(ResumeTest, StoppedHoweverARunLeavesNothingBehindAndIsCompleted) {
  StopOnce();
  if (HasFatalFailure()) return;
  const std::vector<std::string> kept = Recorded();
  ASSERT_FALSE(kept.empty());
  const std::string before = ReadText(RunFolder() + "/" + kept[0] + "/ops.ndjson");
  RefuseWhatCannotBeCompared();
  KillInTheMiddle();
  if (HasFatalFailure()) return;
  StopTwice();
  if (HasFatalFailure()) return;

  const auto process = Start({"--resume", RunFolder()});
  EXPECT_EQ(End(*process), 0) << Output();
  ExpectNothingLeft();
  const json run = Run();
  EXPECT_EQ(run.at("status"), "done");
  EXPECT_THAT(Recorded(), UnorderedElementsAre("cells/2pc/rep-1", "cells/2pc/rep-2",
                                               "cells/raw/rep-1", "cells/raw/rep-2"));
  EXPECT_EQ(ReadText(RunFolder() + "/" + kept[0] + "/ops.ndjson"), before);
  for (const std::string& dir : Recorded()) {
    const json rep = ReadJson(RunFolder() + "/" + dir + "/rep.json");
    EXPECT_EQ(rep.at("seed").get<int64_t>(),
              run.at("seed").get<int64_t>() + rep.at("n").get<int64_t>());
    EXPECT_FALSE(std::filesystem::exists(RunFolder() + "/" + dir + "/stores"));
  }
  ASSERT_EQ(run.at("resumed").size(), 3U);
  for (const json& resumed : run.at("resumed")) {
    ASSERT_EQ(resumed.at("set_aside").size(), 1U) << resumed;
    const std::string aside = resumed.at("set_aside")[0];
    EXPECT_TRUE(std::filesystem::exists(RunFolder() + "/" + aside)) << aside;
    EXPECT_THAT(ReadText(RunFolder() + "/report.md"), HasSubstr(aside + " was cut off"));
  }
  const CommandResult verified = VerifyRun(RunFolder());
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  ExpectRefused({"--resume", RunFolder()}, "nothing is left to run");
}

}  // namespace
}  // namespace indoubt
