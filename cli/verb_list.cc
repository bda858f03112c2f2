// indoubt list: what this program knows.
#include <fmt/format.h>

#include "base/failpoint.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "experiments/faults/fault.h"
#include "experiments/scenario.h"

namespace indoubt::cli {
namespace {

int ListFaults() {
  for (const FailPoint& point : AllFailPoints()) {
    PrintLine(fmt::format("{:26} {}", point.name, point.where));
  }
  for (const FaultKind& kind : AllFaultKinds()) {
    PrintLine(fmt::format("{:26} in a scenario: {}", kind.name, kind.what));
  }
  return kDone;
}

int ListScenarios() {
  for (const BuiltinScenario& builtin : BuiltinScenarios()) {
    const auto scenario = LoadScenario(std::string(builtin.name));
    if (!scenario) return Fail(scenario.error());
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(EstimatedDuration(*scenario)).count();
    PrintLine(fmt::format("{:26} {:>2} min {:02} s  {}", scenario->name, seconds / 60,
                          seconds % 60, scenario->question));
  }
  return kDone;
}

}  // namespace

void AddList(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("list", "Scenarios and fail points");
  verb->require_subcommand(1);
  verb->add_subcommand("faults", "Kinds of faults, and every fail point and where it lies")
      ->callback([&action] { action = ListFaults; });
  verb->add_subcommand(
          "scenarios",
          "Those that the binary carries, each with about how long it takes and its question")
      ->callback([&action] { action = ListScenarios; });
}

}  // namespace indoubt::cli
