#include "experiments/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kSmall = R"(name = "small"
[matrix]
paths = ["2pc", "cdc"]
[load]
rate_per_s = 100
duration = "20s"
[[fault]]
at = "5s"
kind = "kill"
point = { 2pc = "voted" }
down = "10s"
[[expect]]
check = "2pc.inconsistent.permanent == 0"
)";

std::string ErrorOf(const std::string& text) {
  const auto scenario = ParseScenario(text, "x.toml");
  return scenario ? "no error" : scenario.error().message();
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(Scenario, ReadsWhatIsThereAndHasDefaultsForTheRest) {
  const auto scenario = ParseScenario(kSmall, "x.toml");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  EXPECT_EQ(scenario->name, "small");
  EXPECT_THAT(scenario->paths, ElementsAre("2pc", "cdc"));
  EXPECT_EQ(scenario->load.mode, LoadMode::kOpen);
  EXPECT_EQ(scenario->load.rate_per_s, 100);
  EXPECT_EQ(scenario->load.duration, std::chrono::seconds(20));
  ASSERT_EQ(scenario->faults.size(), 1u);
  EXPECT_EQ(scenario->faults[0].down, std::chrono::seconds(10));
  EXPECT_EQ(scenario->faults[0].point.at("2pc"), "voted");
  EXPECT_THAT(scenario->expect, ElementsAre("2pc.inconsistent.permanent == 0"));
  EXPECT_EQ(scenario->repeat, 1);
}

TEST(Scenario, ErrorsNamePlaceAndKey) {
  EXPECT_THAT(ErrorOf("name = \n"), StartsWith("x.toml:1:"));
  EXPECT_THAT(ErrorOf(Replaced(kSmall, "\"cdc\"]", "\"xyz\"]")),
              StartsWith("x.toml:3:9: matrix.paths: no path is called \"xyz\""));
  EXPECT_THAT(ErrorOf(Replaced(kSmall, "duration = \"20s\"", "duration = 20")),
              StartsWith("x.toml:6:12: load.duration: must be a duration with a unit"));
  EXPECT_THAT(ErrorOf(Replaced(kSmall, "duration = \"20s\"", "duration = \"20\"")),
              StartsWith("x.toml:6:12: load.duration: "));
  EXPECT_THAT(ErrorOf(Replaced(kSmall, "rate_per_s = 100", "rate_per_s = \"fast\"")),
              StartsWith("x.toml:5:14: load.rate_per_s: must be a number"));
  EXPECT_THAT(ErrorOf(Replaced(kSmall, "rate_per_s = 100\n", "")),
              HasSubstr("load.rate_per_s: is missing"));
  EXPECT_THAT(ErrorOf(Replaced(kSmall, "rate_per_s", "speed = 1\nrate_per_s")),
              StartsWith("x.toml:5:9: load.speed: no such key"));
  EXPECT_THAT(ErrorOf(Replaced(kSmall, "\"voted\"", "\"nowhere\"")),
              HasSubstr("fault.point: no fail point \"nowhere\""));
  EXPECT_THAT(
      ErrorOf(Replaced(kSmall, "\"kill\"", "\"maim\"")),
      StartsWith("x.toml:9:8: fault.kind: no fault is called \"maim\"; there are kill, "));
  EXPECT_THAT(ErrorOf(Replaced(kSmall, "at = \"5s\"", "at = \"15s\"")),
              HasSubstr("fault.at: at + down must lie within load.duration"));
  EXPECT_THAT(ErrorOf(Replaced(kSmall, "\"small\"", "\"s m a l l\"")), HasSubstr("name"));
  EXPECT_THAT(ErrorOf("[matrix]\npaths = [\"cdc\", \"cdc\"]\n"), HasSubstr("name: is missing"));
}

TEST(Scenario, AnExpectationThatCannotBeEvaluatedIsAnErrorAtItsPlace) {
  const auto with = [](const std::string& check) {
    return ErrorOf(Replaced(kSmall, "2pc.inconsistent.permanent == 0", check));
  };
  EXPECT_THAT(with("2pc.inconsistent.permanent = 0"),
              StartsWith("x.toml:13:9: expect.check: check '2pc.inconsistent.permanent = 0'"));
  EXPECT_THAT(with("3pc.inconsistent.permanent == 0"),
              StartsWith("x.toml:13:9: expect.check: \"3pc.inconsistent.permanent\" names no "
                         "cell of the matrix; its cells are 2pc, cdc"));
  EXPECT_THAT(with("2pc.inconsistent.permanant == 0"),
              HasSubstr("there is no figure \"inconsistent.permanant\""));
  EXPECT_THAT(with("2pc.lag_ms.max / cdc.lag_ms.p42 > 1"), HasSubstr("\"lag_ms.p42\""));
  EXPECT_THAT(with("raw.reads > 2"), HasSubstr("names no cell"));
  EXPECT_EQ(with("cdc.lag_ms.by_store.stock.p99 / 2pc.response_ms.max > 1"), "no error");
  EXPECT_EQ(with("ci_low 2pc.throughput_per_s / cdc.throughput_per_s > 1"), "no error");
  EXPECT_THAT(with("ci_low 2pc.throughput_per_s > 1"), HasSubstr("each side is one term"));
}

TEST(Scenario, AnExpectationWhoseCellWasOverriddenAwayIsLeftOutWithAWarning) {
  const std::string text = std::string(kSmall) + "[[expect]]\ncheck = \"cdc.reads > 0\"\n";
  const std::vector<std::string> overrides{R"(matrix.paths=["cdc"])"};
  const auto scenario = ParseScenario(text, "x.toml", overrides);
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  EXPECT_THAT(scenario->expect, ElementsAre("cdc.reads > 0"));
  EXPECT_THAT(scenario->warnings,
              ElementsAre("the expectation '2pc.inconsistent.permanent == 0' was left out: an "
                          "override took its cell 2pc out of the matrix"));
  const auto again = ParseScenario(scenario->resolved, "resolved.toml");
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_THAT(again->expect, ElementsAre("cdc.reads > 0"));
  EXPECT_TRUE(again->warnings.empty());
}

TEST(Scenario, WhatIsSetOfAFaultThatIsNotThereIsNamed) {
  const std::string text = kSmall;
  const std::string without = text.substr(0, text.find("[[fault]]"));
  const std::vector<std::string> overrides{"fault.down=3s"};
  const auto set = ParseScenario(without, "x.toml", overrides);
  ASSERT_FALSE(set);
  EXPECT_THAT(set.error().message(),
              StartsWith("--set fault.down=3s: this scenario has no [[fault]] to change"));
  EXPECT_THAT(
      ErrorOf(Replaced(without, "[load]", "[matrix.vary]\n\"fault.down\" = [\"1s\"]\n[load]")),
      StartsWith("x.toml:4:1: matrix.vary: fault.down varies, and there is no [[fault]]"));
}

TEST(Scenario, ARateThatIsSetForAClosedLoopIsRefusedByName) {
  const std::string closed = Replaced(kSmall, "[load]", "[load]\nmode = \"closed\"");
  const std::vector<std::string> rate{"load.rate_per_s=5"}, mode{"load.mode=closed"};
  EXPECT_THAT(ParseScenario(closed, "x.toml", rate).status().message(),
              HasSubstr("--set load.rate_per_s: has no meaning in a closed loop"));
  EXPECT_TRUE(ParseScenario(kSmall, "x.toml", rate));
  const auto over = ParseScenario(kSmall, "x.toml", mode);  // the file's own rate may stay
  ASSERT_TRUE(over) << over.error().ToString();
  EXPECT_TRUE(ParseScenario(over->resolved, "resolved.toml"));
}

std::string WithFault(const std::string& fault) {
  std::string text = kSmall;
  const size_t from = text.find("kind = "), to = text.find("down = ");
  return text.replace(from, to - from, fault);
}

TEST(Scenario, EachKindOfFaultTakesItsOwnKeysAndNoOthers) {
  EXPECT_EQ(ErrorOf(WithFault("kind = \"pause\"\n")), "no error");
  EXPECT_EQ(ErrorOf(WithFault("kind = \"store-kill\"\nstore = \"accounts\"\n")), "no error");
  EXPECT_EQ(ErrorOf(WithFault("kind = \"store-lock\"\nstore = \"ledger\"\n")), "no error");
  EXPECT_EQ(ErrorOf(WithFault("kind = \"store-slow\"\nstore = \"stock\"\nlatency = \"5ms\"\n")),
            "no error");
  EXPECT_THAT(ErrorOf(WithFault("kind = \"store-kill\"\n")),
              HasSubstr("fault.store: is missing"));
  EXPECT_THAT(ErrorOf(WithFault("kind = \"store-kill\"\nstore = \"ledger\"\n")),
              HasSubstr("x.toml:10:9: fault.store: must be \"accounts\" or \"stock\""));
  EXPECT_THAT(ErrorOf(WithFault("kind = \"store-lock\"\nstore = \"stock\"\n")),
              HasSubstr("fault.store: must be \"ledger\""));
  EXPECT_THAT(ErrorOf(WithFault("kind = \"store-slow\"\nstore = \"stock\"\n")),
              HasSubstr("fault.latency: is missing"));
  EXPECT_THAT(ErrorOf(WithFault("kind = \"pause\"\nstore = \"stock\"\n")),
              HasSubstr("x.toml:10:9: fault.store: no such key"));
  for (const std::string disk : {"disk-full", "disk-error"}) {
    const std::string kind = "kind = \"" + disk + "\"\n";
    EXPECT_EQ(ErrorOf(WithFault(kind)), "no error");
    EXPECT_EQ(ErrorOf(WithFault(kind + "store = \"ledger\"\n")), "no error");
    EXPECT_THAT(ErrorOf(WithFault(kind + "store = \"disk\"\n")),
                HasSubstr("x.toml:10:9: fault.store: must be \"accounts\", \"stock\" or"));
    EXPECT_THAT(ErrorOf(WithFault(kind + "latency = \"5ms\"\n")),
                HasSubstr("x.toml:10:11: fault.latency: no such key"));
  }
  EXPECT_THAT(ErrorOf(WithFault("kind = \"disk-slow\"\n")),
              HasSubstr("fault.latency: is missing"));
  EXPECT_EQ(ErrorOf(WithFault("kind = \"disk-slow\"\nlatency = \"5ms\"\n")), "no error");
}

std::vector<std::string> CellNames(const Scenario& scenario) {
  std::vector<std::string> names;
  for (const MatrixCell& cell : CellsOf(scenario)) names.push_back(cell.name);
  return names;
}

std::string Varying(const std::string& lines) {
  return Replaced(Replaced(kSmall, "[load]", "[matrix.vary]\n" + lines + "[load]"),
                  "2pc.inconsistent.permanent", "2pc-down-1s.inconsistent.permanent");
}

TEST(Scenario, EveryValueThatVariesMakesCellsOfItsOwn) {
  const auto scenario = ParseScenario(
      Varying("\"fault.down\" = [\"1s\", \"10s\"]\n\"workload.zipf\" = [0.5, 1]\n"), "x.toml");
  ASSERT_FALSE(scenario);  // the expectation's cell has two values in its name
  const auto one = ParseScenario(Varying("\"fault.down\" = [\"1s\", \"10s\"]\n"), "x.toml");
  ASSERT_TRUE(one) << one.error().ToString();
  EXPECT_THAT(CellNames(*one),
              ElementsAre("2pc-down-1s", "2pc-down-10s", "cdc-down-1s", "cdc-down-10s"));
  const std::vector<MatrixCell> cells = CellsOf(*one);
  const auto second = ScenarioOf(*one, cells[1]);
  ASSERT_TRUE(second) << second.error().ToString();
  EXPECT_EQ(second->faults[0].down, std::chrono::seconds(10));
  EXPECT_EQ(ScenarioOf(*one, cells[0])->faults[0].down, std::chrono::seconds(1));
  EXPECT_EQ(EstimatedDuration(*one), 4 * (std::chrono::seconds(3 + 20 + 6)));
}

TEST(Scenario, AFailPointThatVariesIsOfItsPathAlone) {
  const auto scenario = ParseScenario(
      Replaced(Varying("\"fault.point.2pc\" = [\"voted\", \"before_commit@stock\"]\n"),
               "2pc-down-1s", "2pc-voted"),
      "x.toml");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  EXPECT_THAT(CellNames(*scenario), ElementsAre("2pc-voted", "2pc-before_commit-stock", "cdc"));
  EXPECT_EQ(ScenarioOf(*scenario, CellsOf(*scenario)[1])->faults[0].point.at("2pc"),
            "before_commit@stock");
}

TEST(Scenario, ABadValueThatVariesIsNamedWithItsCell) {
  EXPECT_THAT(ErrorOf(Varying("\"fault.down\" = [\"1s\", \"soon\"]\n")),
              HasSubstr("matrix.vary: 2pc-down-soon"));
  EXPECT_THAT(
      ErrorOf(Replaced(Varying("\"fault.up\" = [\"1s\"]\n"), "2pc-down-1s", "2pc-up-1s")),
      HasSubstr("fault.up: no such key"));
  EXPECT_THAT(
      ErrorOf(Varying("\"name\" = [\"a\"]\n")),
      HasSubstr("x.toml:5:10: matrix.vary.name: only keys of load, workload and fault"));
  EXPECT_THAT(ErrorOf(Varying("\"load.clients\" = [1]\n")),
              HasSubstr("is written as matrix.clients"));
  EXPECT_THAT(ErrorOf(Varying("\"fault.down\" = []\n")), HasSubstr("names no value"));
}

TEST(Scenario, LastResourceMakesCellsOfThePathsThatCanHaveOne) {
  const auto scenario = ParseScenario(
      Replaced(kSmall, "[load]", "last_resource = [false, true]\n[load]"), "x.toml");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  const std::vector<MatrixCell> cells = CellsOf(*scenario);
  ASSERT_EQ(cells.size(), 3u);
  EXPECT_EQ(cells[0].name, "2pc");
  EXPECT_FALSE(cells[0].last_resource);
  EXPECT_EQ(cells[1].name, "2pc-last-resource");
  EXPECT_EQ(cells[1].path, "2pc");
  EXPECT_TRUE(cells[1].last_resource);
  EXPECT_EQ(cells[2].name, "cdc");
  EXPECT_FALSE(cells[2].last_resource_varies);
  EXPECT_THAT(
      ErrorOf(Replaced(kSmall, "[load]", "last_resource = [1]\n[load]")),
      StartsWith("x.toml:4:17: matrix.last_resource: must be a list of true and false"));
  EXPECT_THAT(ErrorOf(Replaced(Replaced(kSmall, "[load]", "last_resource = [true]\n[load]"),
                               "\"2pc\", ", "")),
              HasSubstr("matrix.last_resource: no path of the matrix has one"));
}

TEST(Scenario, OverridesComeBeforeTheChecksAndIntoTheResolvedText) {
  const std::vector<std::string> overrides{"load.rate_per_s=7", "load.duration=30s",
                                           "stats.repeat=5"};
  const auto scenario = ParseScenario(kSmall, "x.toml", overrides);
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  EXPECT_EQ(scenario->load.rate_per_s, 7);
  EXPECT_EQ(scenario->load.duration, std::chrono::seconds(30));
  EXPECT_EQ(scenario->repeat, 5);
  const auto again = ParseScenario(scenario->resolved, "resolved.toml");
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_EQ(again->load.rate_per_s, 7);
  EXPECT_EQ(again->repeat, 5);
}

TEST(Scenario, OverrideWithoutAValueOrOfAnUnknownKeyIsAnError) {
  const std::vector<std::string> none{"load.rate_per_s"};
  EXPECT_THAT(ParseScenario(kSmall, "x.toml", none).status().message(),
              HasSubstr("key.path=value"));
  const std::vector<std::string> unknown{"load.speed=3"};
  EXPECT_THAT(ParseScenario(kSmall, "x.toml", unknown).status().message(),
              HasSubstr("x.toml: --set load.speed: no such key"));
}

TEST(Scenario, BuiltInScenariosAreValid) {
  std::vector<std::string> names;
  for (const BuiltinScenario& each : BuiltinScenarios()) {
    const auto scenario = LoadScenario(std::string(each.name));
    ASSERT_TRUE(scenario) << scenario.error().ToString();
    EXPECT_EQ(scenario->name, each.name);
    names.emplace_back(each.name);
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"coordinator-crash", "quiet"}));
}

TEST(Scenario, UnknownNameListsTheBuiltInOnes) {
  const auto scenario = LoadScenario("no-such-scenario");
  ASSERT_FALSE(scenario);
  EXPECT_EQ(scenario.error().code(), StatusCode::kNotFound);
  EXPECT_THAT(scenario.error().message(), HasSubstr("coordinator-crash"));
}

}  // namespace
}  // namespace indoubt
