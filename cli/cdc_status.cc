// indoubt cdc status: how late each view is, and what the source keeps for the slot.
#include <map>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cdc/report.h"
#include "cli/cdc_verbs.h"
#include "cli/output.h"

namespace indoubt::cli {
namespace {

constexpr Duration kSourcePatience = std::chrono::seconds(5);

template <typename Value>
Json OrNull(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

Json OrNull(const std::optional<Lsn>& lsn) { return lsn ? Json(lsn->ToString()) : Json(); }

Json Problem(const Status& health) {
  if (health.ok()) return nullptr;
  return {{"code", ToString(health.code())}, {"message", health.message()}};
}

/// The LSN; `otherwise` when it is not known, or the view has none: nothing was derived yet.
template <typename Text>
Text PositionOf(const ViewReport& view, Text otherwise) {
  const bool begun = view.position && !view.log_id.empty();
  return begun ? Text(view.position->lsn.ToString()) : otherwise;
}

struct Rates {
  std::optional<double> log;
  std::vector<std::optional<double>> views;  // in the report's order
};

Rates RatesOf(const CdcReport& before, const CdcReport& after) {
  Rates rates;
  rates.log =
      RatePerSecond(before.log.events, before.taken_at, after.log.events, after.taken_at);
  for (size_t i = 0; i < after.views.size(); ++i) {
    rates.views.push_back(RatePerSecond(before.views[i].applied, before.taken_at,
                                        after.views[i].applied, after.taken_at));
  }
  return rates;
}

Json ToJson(const SlotReport& slot) {
  return {{"active", slot.active},
          {"wal_status", slot.wal_status},
          {"confirmed_lsn", slot.confirmed.ToString()},
          {"restart_lsn", slot.restart.ToString()},
          {"retained_wal_bytes", slot.retained_bytes},
          {"safe_wal_bytes", OrNull(slot.safe_wal_bytes)}};
}

Json ToJson(const ViewReport& view, const std::optional<double>& rate) {
  return {{"view", view.name},
          {"position", PositionOf(view, Json())},
          {"lag_bytes", OrNull(view.lag_bytes)},
          {"lag_seconds", OrNull(view.lag_seconds)},
          {"backlog_events", OrNull(view.backlog)},
          {"applied_events", OrNull(view.applied)},
          {"parked_events", OrNull(view.parked)},
          {"holds_log", view.holds_log},
          {"rate_per_s", OrNull(rate)},
          {"problem", Problem(view.health)}};
}

void PrintStatusJson(const CdcReport& report, const Rates& rates, const std::string& slot) {
  Json views = Json::array();
  for (size_t i = 0; i < report.views.size(); ++i) {
    views.push_back(
        ToJson(report.views[i], i < rates.views.size() ? rates.views[i] : std::nullopt));
  }
  const bool logged = report.log.complete.has_value();
  PrintJson(
      {{"source", OrNull(report.source.flushed)},
       {"source_problem", Problem(report.source.health)},
       {"source_warning", report.source.warning.empty() ? Json() : Json(report.source.warning)},
       {"slot_name", slot},
       {"slot", report.source.slot ? ToJson(*report.source.slot) : Json()},
       {"log",
        {{"complete", OrNull(report.log.complete)},
         {"events", logged ? Json(report.log.events) : Json()},
         {"staged", logged ? Json(report.log.staged) : Json()},
         {"rate_per_s", OrNull(rates.log)},
         {"from", OrNull(report.log.from)},
         {"compacted", OrNull(report.log.compacted)},
         {"bytes", logged ? Json(report.log.bytes) : Json()},
         {"free_bytes", OrNull(report.log.free_bytes)},
         {"oldest_seconds", OrNull(report.log.oldest_seconds)},
         {"overdue_seconds", OrNull(report.log.overdue_seconds)},
         {"excess_bytes", OrNull(report.log.excess_bytes)},
         {"held_by", report.log.held_by},
         {"problem", Problem(report.log.health)}}},
       {"views", views}});
}

template <typename Value>
std::string OrUnknown(const std::optional<Value>& value, const std::string& format) {
  return value ? fmt::format(fmt::runtime(format), *value) : "unknown";
}

void PrintRetention(const LogReport& log) {
  PrintLine(fmt::format(
      "log     keeps {}, {} bytes, the oldest event {} s old{}",
      log.from->value == 0 ? "all" : "what follows on " + log.from->ToString(), log.bytes,
      OrUnknown(log.oldest_seconds, "{:.0f}"),
      log.compacted->value == 0 ? "" : ", compacted up to " + log.compacted->ToString()));
  if (log.held_by.empty()) return;
  PrintLine(fmt::format("log     {:.0f} s and {} bytes beyond retention, held by {}",
                        log.overdue_seconds.value_or(0), log.excess_bytes.value_or(0),
                        fmt::join(log.held_by, ", ")));
}

void PrintStatusLines(const CdcReport& report, const Rates& rates, const std::string& slot) {
  PrintLine("source  " +
            (report.source.flushed ? report.source.flushed->ToString() : "unknown"));
  if (report.source.slot) {
    const SlotReport& seen = *report.source.slot;
    PrintLine(fmt::format(
        "slot    {}: {}, WAL {}; confirmed {}, restart {}, {} bytes retained{}", slot,
        seen.active ? "active" : "not active", seen.wal_status, seen.confirmed.ToString(),
        seen.restart.ToString(), seen.retained_bytes,
        seen.safe_wal_bytes ? fmt::format(", lost after {} more", *seen.safe_wal_bytes) : ""));
  } else {
    PrintLine(
        fmt::format("slot    {}: {}", slot, report.source.flushed ? "not there" : "unknown"));
  }
  if (report.log.complete) {
    PrintLine(fmt::format("log     {}: {} events, {} staged, {}",
                          report.log.complete->ToString(), report.log.events, report.log.staged,
                          rates.log ? fmt::format("{:.1f}/s", *rates.log) : "no rate"));
    PrintRetention(report.log);
  }
  for (size_t i = 0; i < report.views.size(); ++i) {
    const ViewReport& view = report.views[i];
    const auto rate = i < rates.views.size() ? rates.views[i] : std::nullopt;
    PrintLine(fmt::format(
        "view    {}: at {}, {} bytes and {} s late, {} events behind, {} parked, {}", view.name,
        PositionOf<std::string>(view, view.position ? "nothing yet" : "unknown"),
        OrUnknown(view.lag_bytes, "{}"), OrUnknown(view.lag_seconds, "{:.3f}"),
        OrUnknown(view.backlog, "{}"), OrUnknown(view.parked, "{}"),
        rate ? fmt::format("{:.1f}/s", *rate) : "no rate"));
  }
}

}  // namespace

int ShowCdcStatus(const std::string& config, Duration sample, bool json) {
  const auto loaded = LoadCdcConfig(config);
  if (!loaded) return Fail(loaded.error(), json);
  const CdcOptions& options = loaded->options;
  const auto look = [&] {
    return ReadCdcReport(options, SystemClock().Now() + kSourcePatience);
  };
  CdcReport report = look();
  Rates rates;
  // A rate over what cannot be seen is none: then there is nothing to wait for.
  if (sample.count() > 0 && report.log.complete) {
    const CdcReport before = std::move(report);
    std::this_thread::sleep_for(sample);
    report = look();
    rates = RatesOf(before, report);
  }
  json ? PrintStatusJson(report, rates, options.slot)
       : PrintStatusLines(report, rates, options.slot);
  std::vector<Status> wrong{report.source.health, report.log.health};
  for (const ViewReport& view : report.views) wrong.push_back(view.health);
  int code = kDone;
  if (!report.source.warning.empty()) Note("indoubt: warning: " + report.source.warning);
  for (const Status& status : wrong) {
    if (status.ok()) continue;
    Note("indoubt: " + status.message());
    code = kEnvironment;  // whatever it is: the path is not whole
  }
  return code;
}

}  // namespace indoubt::cli
