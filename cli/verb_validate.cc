// indoubt validate: checks a scenario, with line and column.
#include <memory>

#include <fmt/format.h>

#include "cli/output.h"
#include "cli/verbs.h"
#include "experiments/scenario.h"

namespace indoubt::cli {

void AddValidate(Verb program) {
  Verb verb = program.Add("validate", "Check a scenario, with line and column");
  auto file = std::make_shared<std::string>();
  verb.Value("FILE", *file, "Scenario file").Required();
  verb.Does([file]() -> int {
    const auto scenario = LoadScenario(*file);
    if (!scenario) return Fail(scenario.error());
    PrintLine(fmt::format("{}: scenario \"{}\" is valid", *file, scenario->name));
    return kDone;
  });
}

}  // namespace indoubt::cli
