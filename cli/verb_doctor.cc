// indoubt doctor: can these participants keep the promise?
#include <memory>

#include <fmt/format.h>

#include "base/duration.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/world.h"

namespace indoubt::cli {
namespace {

void Print(const std::string& name, const PreflightReport& report) {
  PrintLine(fmt::format(
      "{}: {}: {}", name, report.version,
      report.problems.empty() ? "can keep the promise" : "CANNOT keep the promise"));
  for (const std::string& line : report.problems) PrintLine("  problem: " + line);
  for (const std::string& line : report.warnings) PrintLine("  warning: " + line);
  for (const std::string& line : report.notes) PrintLine("  note: " + line);
}

int Doctor(const std::string& config_path, const std::string& timeout, bool json) {
  auto config = LoadConfig(config_path);
  if (!config) return Fail(config.error());
  auto participants = MakeParticipants(*config);
  if (!participants) return Fail(participants.error());
  const Duration limit = ParseDuration(timeout).value_or(Duration::zero());
  bool healthy = true;
  Json all = Json::array();
  for (const auto& participant : *participants) {
    const auto report = participant->Preflight(SystemClock().Now() + limit);
    Json entry{{"name", participant->name()}, {"kind", participant->kind()}};
    if (report) {
      healthy = healthy && report->problems.empty();
      entry.update({{"version", report->version},
                    {"problems", report->problems},
                    {"warnings", report->warnings},
                    {"notes", report->notes}});
      if (!json) Print(participant->name(), *report);
    } else {
      healthy = false;
      entry["error"] = report.error().message();
      if (!json) PrintLine(participant->name() + ": " + report.error().message());
    }
    all.push_back(std::move(entry));
  }
  if (json) PrintJson({{"healthy", healthy}, {"participants", all}});
  return healthy ? kDone : kEnvironment;
}

}  // namespace

void AddDoctor(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("doctor", "Can these participants keep the promise?");
  auto config = std::make_shared<std::string>();
  auto timeout = std::make_shared<std::string>("5s");
  auto json = std::make_shared<bool>(false);
  verb->add_option("-c,--config", *config, "Configuration file")->required();
  AddDuration(*verb, "--timeout", *timeout, "For each participant")->capture_default_str();
  verb->add_flag("--json", *json, "One JSON object on stdout");
  verb->callback([&action, config, timeout, json] {
    action = [config, timeout, json] { return Doctor(*config, *timeout, *json); };
  });
}

}  // namespace indoubt::cli
