// indoubt list: what this program knows.
#include <fmt/format.h>

#include "base/failpoint.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "experiments/scenario.h"

namespace indoubt::cli {
namespace {

int ListFaults() {
  for (const FailPoint& point : AllFailPoints()) {
    PrintLine(fmt::format("{:26} {}", point.name, point.where));
  }
  return kDone;
}

int ListScenarios() {
  for (const BuiltinScenario& builtin : BuiltinScenarios()) {
    const auto scenario = LoadScenario(std::string(builtin.name));
    if (!scenario) return Fail(scenario.error());
    PrintLine(fmt::format("{:20} {}", scenario->name, scenario->question));
  }
  return kDone;
}

}  // namespace

void AddList(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("list", "Scenarios and fail points");
  verb->require_subcommand(1);
  verb->add_subcommand("faults", "Every fail point and where it lies")->callback([&action] {
    action = ListFaults;
  });
  verb->add_subcommand("scenarios", "Those that the binary carries, each with its question")
      ->callback([&action] { action = ListScenarios; });
}

}  // namespace indoubt::cli
