// indoubt doctor: can these participants keep the promise?
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "base/duration.h"
#include "cdc/metrics_server.h"
#include "cdc/source_check.h"
#include "cli/cdc_verbs.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/world.h"
#include "participants/redis/redis_repair.h"
#include "participants/sqlite/sqlite_repair.h"
#include "recovery/read_decisions.h"

namespace indoubt::cli {
namespace {

/// By participant, what was mended in those that hold what is ours beside the user's.
Result<std::map<std::string, std::vector<std::string>>> Repair(const Config& config,
                                                               Duration limit) {
  std::map<std::string, std::vector<std::string>> repaired;
  for (const ParticipantOptions& options : config.participants) {
    Result<std::vector<std::string>> lines = std::vector<std::string>{};
    if (const auto* sqlite = std::get_if<SqliteOptions>(&options)) {
      lines = RepairSqliteFile(*sqlite, SystemClock().Now() + limit);
    } else if (const auto* redis = std::get_if<RedisOptions>(&options)) {
      lines = RepairRedis(*redis, SystemClock().Now() + limit);
    }
    if (!lines) return lines.error().WithContext("participant " + NameOf(options));
    repaired[NameOf(options)] = std::move(*lines);
  }
  return repaired;
}

/// What was found of `name`, said, unless `json`, and put into `entry`. Whether it is well;
/// `promise` is what it can then do.
bool Tell(const std::string& name, const std::string& promise,
          const Result<PreflightReport>& report, bool json, Json& entry) {
  if (!report) {
    entry["error"] = report.error().message();
    if (!json) PrintLine(name + ": " + report.error().message());
    return false;
  }
  entry.update({{"version", report->version},
                {"problems", report->problems},
                {"warnings", report->warnings},
                {"notes", report->notes}});
  const bool well = report->problems.empty();
  if (json) return well;
  PrintLine(
      fmt::format("{}: {}: {} {}", name, report->version, well ? "can" : "CANNOT", promise));
  for (const std::string& line : report->problems) PrintLine("  problem: " + line);
  for (const std::string& line : report->warnings) PrintLine("  warning: " + line);
  for (const std::string& line : report->notes) PrintLine("  note: " + line);
  return well;
}

int Doctor(const std::string& config_path, const std::string& timeout, bool json, bool repair) {
  auto config = LoadConfig(config_path);
  if (!config) return Fail(config.error(), json);
  if (config->cdc && !config->cdc->views.empty()) {
    const auto views = ToCdcOptions(*config);
    if (!views) return Fail(views.error(), json);
  }
  const Status ours = CheckNodeOfLog(PosixFileSystem(), config->log_path, config->node);
  if (!ours.ok()) return Fail(ours, json);
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
    Json entry{{"name", participant->name()}, {"kind", participant->kind()}};
    const std::vector<std::string>& mended = repaired[participant->name()];
    if (repair) entry["repaired"] = mended;
    const auto report = participant->Preflight(SystemClock().Now() + limit);
    healthy = Tell(participant->name(), "keep the promise", report, json, entry) && healthy;
    for (const std::string& line : mended) {
      if (!json) PrintLine("  repaired: " + line);
    }
    all.push_back(std::move(entry));
  }
  Json source;
  if (config->cdc) {
    const std::string& name = config->cdc->source;
    source["source"] = name;
    auto report = CheckCdcSource(CdcSourceOptions(*config), SystemClock().Now() + limit);
    if (report && !config->cdc->metrics.empty()) {
      const Status metrics = MetricsServer::Check(config->cdc->metrics);
      if (!metrics.ok()) report->problems.push_back("cdc.metrics: " + metrics.message());
    }
    healthy = Tell("cdc from " + name, "be followed", report, json, source) && healthy;
  }
  Json found{{"healthy", healthy}, {"participants", std::move(all)}};
  if (config->cdc) found["cdc"] = std::move(source);
  if (json) PrintJson(found);
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
            "First mend what of indoubt's is missing, changed or left over in SQLite files, "
            "and drop locks of no branch in Redis");
  verb.Does(
      [config, timeout, json, repair] { return Doctor(*config, *timeout, *json, *repair); });
}

}  // namespace indoubt::cli
