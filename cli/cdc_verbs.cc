#include "cli/cdc_verbs.h"

#include <algorithm>

#include <fmt/format.h>

#include "cdc/schema_rule.h"
#include "cli/config.h"
#include "cli/output.h"
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

}  // namespace

Result<CdcOptions> ToCdcOptions(const Config& config) {
  if (!config.cdc || config.cdc->views.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: cdc: needs the table [cdc] and at least one [views.NAME]",
                              config.file));
  }
  RegisterShopDerivation();
  CdcOptions options = CdcSourceOptions(config);
  for (const ViewConfig& view : config.cdc->views) {
    auto derivation = FindDerivation(view.derivation);
    if (!derivation) {
      return derivation.error().WithContext(
          fmt::format("{}: views.{}.derivation", config.file, view.name));
    }
    const ParticipantOptions& sink = Find(config, view.sink);
    ViewOptions to;
    to.name = view.name;
    to.kind = view.kind == "redis"    ? ViewKind::kRedis
              : view.kind == "sqlite" ? ViewKind::kSqlite
                                      : ViewKind::kSearch;
    to.sink = view.kind == "redis" ? std::get<RedisOptions>(sink).uri
                                   : std::get<SqliteOptions>(sink).path;
    to.derivation = std::move(*derivation);
    to.search_columns = view.columns;
    INDOUBT_ASSIGN_OR_RETURN(to.schema_rule, ParseSchemaRule(view.schema_rule));
    options.views.push_back(std::move(to));
  }
  return options;
}

CdcOptions CdcSourceOptions(const Config& config) {
  CdcOptions options;
  options.source_dsn = std::get<PostgresOptions>(Find(config, config.cdc->source)).dsn;
  options.tables = config.cdc->tables;
  options.slot = options.publication = config.cdc->slot;
  options.on_slot_loss =
      config.cdc->on_slot_loss == "snapshot" ? OnSlotLoss::kSnapshot : OnSlotLoss::kStop;
  options.event_log_path = config.cdc->log_path;
  options.retention = {config.cdc->retention_time, config.cdc->retention_size,
                       config.cdc->on_view_lag == "stop" ? OnViewLag::kStop : OnViewLag::kHold,
                       config.cdc->compaction == "key"};
  return options;
}

void LimitSinkPatience(CdcOptions& options, Duration timeout) {
  const Duration at_least = std::chrono::seconds(1);
  for (ViewOptions& view : options.views) {
    view.sink_patience = std::min(view.sink_patience, std::max(timeout, at_least));
  }
}

int FailCdc(const Status& status, bool json) {
  const int code = Fail(status, json);
  return status.code() == StatusCode::kNotFound ? static_cast<int>(kEnvironment) : code;
}

Result<CdcVerbConfig> LoadCdcConfig(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(Config config, LoadConfig(path));
  INDOUBT_ASSIGN_OR_RETURN(CdcOptions options, ToCdcOptions(config));
  // For what is wrong with their addresses; they connect to nobody yet.
  INDOUBT_RETURN_IF_ERROR(MakeParticipants(config).status());
  return CdcVerbConfig{std::move(config), std::move(options)};
}

}  // namespace indoubt::cli
