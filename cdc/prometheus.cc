// Source: "Prometheus exposition formats", text format 0.0.4.
#include <fmt/format.h>

#include "cdc/report.h"

namespace indoubt {
namespace {

class Writer {
 public:
  /// Begins a metric; `type` is "gauge" or "counter".
  void Metric(const std::string& name, const std::string& type, const std::string& help) {
    name_ = "indoubt_cdc_" + name;
    head_ = fmt::format("# HELP {} {}\n# TYPE {} {}\n", name_, help, name_, type);
  }
  template <typename Number>
  void Sample(const std::optional<Number>& value, const std::string& view = "") {
    if (!value) return;
    text_ += head_;  // only above a sample
    head_.clear();
    // A view's name is [A-Za-z0-9_-]: nothing of it needs an escape.
    const std::string label = view.empty() ? "" : fmt::format("{{view=\"{}\"}}", view);
    text_ += fmt::format("{}{} {}\n", name_, label, *value);
  }
  std::string text() const { return text_; }

 private:
  std::string text_, name_, head_;
};

std::optional<uint64_t> ValueOf(const std::optional<Lsn>& lsn) {
  return lsn ? std::optional(lsn->value) : std::nullopt;
}

void WriteSource(Writer& writer, const SourceReport& source) {
  writer.Metric("source_up", "gauge", "1 when the source answers and the slot is not lost.");
  writer.Sample(std::optional(source.health.ok() ? 1 : 0));
  writer.Metric("source_flushed_lsn_bytes", "gauge", "End of the source's durable WAL.");
  writer.Sample(ValueOf(source.flushed));
  if (!source.slot) return;
  const SlotReport& slot = *source.slot;
  writer.Metric("slot_active", "gauge", "1 while somebody streams from the slot.");
  writer.Sample(std::optional(slot.active ? 1 : 0));
  writer.Metric("slot_restart_lsn_bytes", "gauge", "The source keeps its WAL from here on.");
  writer.Sample(std::optional(slot.restart.value));
  writer.Metric("slot_confirmed_lsn_bytes", "gauge", "The slot was confirmed up to here.");
  writer.Sample(std::optional(slot.confirmed.value));
  writer.Metric("slot_retained_wal_bytes", "gauge", "WAL that the source keeps for the slot.");
  writer.Sample(std::optional(slot.retained_bytes));
  writer.Metric("slot_safe_wal_bytes", "gauge", "WAL that may come before the slot is lost.");
  writer.Sample(slot.safe_wal_bytes);
}

void WriteLog(Writer& writer, const LogReport& log) {
  writer.Metric("log_up", "gauge", "1 when the event log can be read and is complete.");
  writer.Sample(std::optional(log.health.ok() ? 1 : 0));
  if (!log.complete) return;
  writer.Metric("log_complete_lsn_bytes", "gauge", "All of the source up to here is logged.");
  writer.Sample(ValueOf(log.complete));
  writer.Metric("log_events_total", "counter", "Events in the log since its beginning.");
  writer.Sample(std::optional(log.events));
  writer.Metric("log_staged_transactions", "gauge", "Transactions prepared and not ended.");
  writer.Sample(std::optional(log.staged));
  writer.Metric("log_from_lsn_bytes", "gauge", "What was committed up to here was removed.");
  writer.Sample(ValueOf(log.from));
  writer.Metric("log_compacted_lsn_bytes", "gauge", "Compacted by key up to here.");
  writer.Sample(ValueOf(log.compacted));
  writer.Metric("log_used_bytes", "gauge", "What the event log takes in its file.");
  writer.Sample(std::optional(log.bytes));
  writer.Metric("log_free_bytes", "gauge", "What is left on the event log's disk.");
  writer.Sample(log.free_bytes);
  writer.Metric("log_oldest_event_seconds", "gauge", "Age of the oldest event in the log.");
  writer.Sample(log.oldest_seconds);
  writer.Metric("log_overdue_seconds", "gauge", "Beyond retention_time; 0 within.");
  writer.Sample(log.overdue_seconds);
  writer.Metric("log_excess_bytes", "gauge", "Beyond retention_size; 0 within.");
  writer.Sample(log.excess_bytes);
}

std::optional<uint64_t> PositionOf(const ViewReport& view) {
  return view.position ? std::optional(view.position->lsn.value) : std::nullopt;
}

void WriteViews(Writer& writer, const std::vector<ViewReport>& views) {
  const auto each = [&](auto value) {
    for (const ViewReport& view : views) writer.Sample(value(view), view.name);
  };
  writer.Metric("view_up", "gauge", "1 when the view's sink answers and it is not stopped.");
  each([](const ViewReport& view) { return std::optional(view.health.ok() ? 1 : 0); });
  writer.Metric("view_position_lsn_bytes", "gauge", "Everything up to here is shown.");
  each(PositionOf);
  writer.Metric("view_lag_bytes", "gauge", "From the view's position to the source's end.");
  each([](const ViewReport& view) { return view.lag_bytes; });
  writer.Metric("view_lag_seconds", "gauge", "Age of the oldest commit that is not shown.");
  each([](const ViewReport& view) { return view.lag_seconds; });
  writer.Metric("view_applied_events_total", "counter", "Events of the log that are shown.");
  each([](const ViewReport& view) { return view.applied; });
  writer.Metric("view_parked_events", "gauge", "Events that the view could not take.");
  each([](const ViewReport& view) { return view.parked; });
  writer.Metric("view_holds_log", "gauge", "1 while the log keeps more than it should for it.");
  each([](const ViewReport& view) { return std::optional(view.holds_log ? 1 : 0); });
  writer.Metric("view_backlog_events", "gauge", "Events of the log that are not shown yet.");
  each([](const ViewReport& view) { return view.backlog; });
}

}  // namespace

std::string ToPrometheus(const CdcReport& report) {
  Writer writer;
  WriteSource(writer, report.source);
  WriteLog(writer, report.log);
  WriteViews(writer, report.views);
  return writer.text();
}

}  // namespace indoubt
