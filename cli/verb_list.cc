// indoubt list: what this program knows.
#include <fmt/format.h>

#include "base/failpoint.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace indoubt::cli {
namespace {

int ListFaults() {
  for (const FailPoint& point : AllFailPoints()) {
    PrintLine(fmt::format("{:26} {}", point.name, point.where));
  }
  return kDone;
}

}  // namespace

void AddList(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("list", "Scenarios, fail points, checks or runs");
  verb->require_subcommand(1);
  verb->add_subcommand("faults", "Every fail point and where it lies")->callback([&action] {
    action = ListFaults;
  });
}

}  // namespace indoubt::cli
