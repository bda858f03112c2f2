// indoubt doctor: can these participants keep the promise?
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "base/duration.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/world.h"
#include "participants/sqlite/sqlite_repair.h"

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

/// By participant, what was mended in those that keep tables of ours in a user's file.
Result<std::map<std::string, std::vector<std::string>>> Repair(const Config& config,
                                                               Duration limit) {
  std::map<std::string, std::vector<std::string>> repaired;
  for (const ParticipantOptions& options : config.participants) {
    const auto* sqlite = std::get_if<SqliteOptions>(&options);
    if (sqlite == nullptr) continue;
    auto lines = RepairSqliteFile(*sqlite, SystemClock().Now() + limit);
    if (!lines) return lines.error().WithContext("participant " + sqlite->name);
    repaired[sqlite->name] = std::move(*lines);
  }
  return repaired;
}

int Doctor(const std::string& config_path, const std::string& timeout, bool json, bool repair) {
  auto config = LoadConfig(config_path);
  if (!config) return Fail(config.error(), json);
  auto participants = MakeParticipants(*config);
  if (!participants) return Fail(participants.error(), json);
  const Duration limit = ParseDuration(timeout).value_or(Duration::zero());
  std::map<std::string, std::vector<std::string>> repaired;
  if (repair) {
    auto mended = Repair(*config, limit);
    if (!mended) return Fail(mended.error(), json);
    repaired = std::move(*mended);
  }
  bool healthy = true;
  Json all = Json::array();
  for (const auto& participant : *participants) {
    const auto report = participant->Preflight(SystemClock().Now() + limit);
    Json entry{{"name", participant->name()}, {"kind", participant->kind()}};
    const std::vector<std::string>& mended = repaired[participant->name()];
    if (repair) entry["repaired"] = mended;
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
    for (const std::string& line : mended) {
      if (!json) PrintLine("  repaired: " + line);
    }
    all.push_back(std::move(entry));
  }
  if (json) PrintJson({{"healthy", healthy}, {"participants", all}});
  return healthy ? kDone : kEnvironment;
}

}  // namespace

void AddDoctor(Verb program) {
  Verb verb = program.Add("doctor", "Can these participants keep the promise?");
  auto config = std::make_shared<std::string>();
  auto timeout = std::make_shared<std::string>("5s");
  auto json = std::make_shared<bool>(false), repair = std::make_shared<bool>(false);
  verb.Value("-c,--config", *config, "Configuration file").Required();
  verb.Duration("--timeout", *timeout, "For each participant").ShowDefault();
  verb.Flag("--json", *json, "One JSON object on stdout");
  verb.Flag("--repair", *repair,
            "First mend what of indoubt's is missing, changed or left over in SQLite files");
  verb.Does(
      [config, timeout, json, repair] { return Doctor(*config, *timeout, *json, *repair); });
}

}  // namespace indoubt::cli
