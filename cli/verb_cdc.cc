// indoubt cdc: the worker of the derived path, and where its views are.
#include <memory>

#include <fmt/format.h>

#include "base/duration.h"
#include "cdc/worker.h"
#include "cli/output.h"
#include "cli/termination.h"
#include "cli/verbs.h"
#include "cli/world.h"
#include "experiments/workloads/shop_derivation.h"

namespace indoubt::cli {
namespace {

const ParticipantOptions& Find(const Config& config, const std::string& name) {
  for (const ParticipantOptions& participant : config.participants) {
    if (NameOf(participant) == name) return participant;
  }
  CheckFailed(__FILE__, __LINE__, "LoadConfig checked the name", name);
}

Result<CdcOptions> ToCdcOptions(const Config& config) {
  if (!config.cdc || config.cdc->views.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: cdc: needs the table [cdc] and at least one [views.NAME]",
                              config.file));
  }
  RegisterShopDerivation();
  CdcOptions options;
  options.source_dsn = std::get<PostgresOptions>(Find(config, config.cdc->source)).dsn;
  options.tables = config.cdc->tables;
  options.slot = options.publication = config.cdc->slot;
  options.on_slot_loss =
      config.cdc->on_slot_loss == "snapshot" ? OnSlotLoss::kSnapshot : OnSlotLoss::kStop;
  options.event_log_path = config.cdc->log_path;
  for (const ViewConfig& view : config.cdc->views) {
    auto derivation = FindDerivation(view.derivation);
    if (!derivation) {
      return derivation.error().WithContext(
          fmt::format("{}: views.{}.derivation", config.file, view.name));
    }
    const ParticipantOptions& sink = Find(config, view.sink);
    ViewOptions to;
    to.name = view.name;
    to.kind = view.kind == "redis" ? ViewKind::kRedis : ViewKind::kSqlite;
    to.sink = view.kind == "redis" ? std::get<RedisOptions>(sink).uri
                                   : std::get<SqliteOptions>(sink).path;
    to.derivation = std::move(*derivation);
    INDOUBT_ASSIGN_OR_RETURN(to.schema_rule, ParseSchemaRule(view.schema_rule));
    options.views.push_back(std::move(to));
  }
  return options;
}

Result<CdcOptions> Load(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(const Config config, LoadConfig(path));
  return ToCdcOptions(config);
}

int Run(const std::string& config) {
  auto options = Load(config);
  if (!options) return Fail(options.error());
  BlockTermination();
  auto worker = CdcWorker::Start(*options);
  if (!worker) return Fail(worker.error());
  Note("indoubt: cdc: streaming");
  Status loss;
  std::string said;  // a trouble is told when it begins, not all the time
  AwaitTermination([&] {
    if (const Status last = (*worker)->status().last_loss; last != loss) {
      loss = last;
      Note("indoubt: cdc: a new snapshot is, or was, taken: " + loss.message());
    }
    const Status health = (*worker)->health();
    if (health.message() != said) {
      said = health.message();
      Note("indoubt: cdc: " + (health.ok() ? "well again" : said));
    }
    return (*worker)->source_lost();
  });
  const bool lost = (*worker)->source_lost();
  const Status health = (*worker)->health();
  (*worker)->Stop();
  if (!lost) return kDone;
  return health.ok() ? static_cast<int>(kEnvironment) : Fail(health);
}

int ShowStatus(const std::string& config, bool json) {
  const auto options = Load(config);
  if (!options) return Fail(options.error());
  const auto source =
      ReadSourceFlushLsn(options->source_dsn, SystemClock().Now() + std::chrono::seconds(5));
  if (!source) return Fail(source.error().WithContext("cdc.source"));
  const auto positions = ReadPositions(*options);
  if (!positions) return Fail(positions.error());
  Json views = Json::array();
  for (const auto& [view, position] : *positions) {
    const uint64_t behind =
        source->value > position.value ? source->value - position.value : uint64_t{0};
    views.push_back({{"view", view}, {"position", position.ToString()}, {"lag_bytes", behind}});
    if (!json)
      PrintLine(fmt::format("{}  {}  {} bytes behind", view, position.ToString(), behind));
  }
  if (json) PrintJson({{"source", source->ToString()}, {"views", views}});
  return kDone;
}

}  // namespace

void AddCdc(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("cdc", "Change data capture into derived views");
  verb->require_subcommand(1);
  auto config = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* run = verb->add_subcommand("run", "The worker, until SIGTERM");
  CLI::App* status = verb->add_subcommand("status", "How far each view is");
  for (CLI::App* part : {run, status}) {
    part->add_option("-c,--config", *config, "Configuration file")->required();
  }
  status->add_flag("--json", *json, "One JSON object on stdout");
  run->callback([&action, config] { action = [config] { return Run(*config); }; });
  status->callback([&action, config, json] {
    action = [config, json] { return ShowStatus(*config, *json); };
  });
}

}  // namespace indoubt::cli
