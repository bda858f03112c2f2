#include "experiments/summary/derived_figures.h"

#include "experiments/summary/statistics.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr int64_t kSecond = 1'000'000'000;

double Milliseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

/// The first look of each second.
json Series(const std::vector<SlotRecord>& looks, int64_t measure_from) {
  json series = json::array();
  int64_t last = -1;
  for (const SlotRecord& look : looks) {
    const int64_t at = look.t_ns - measure_from;
    if (at < 0 || at / kSecond <= last) continue;
    last = at / kSecond;
    series.push_back({{"at_ms", Milliseconds(at)},
                      {"bytes", look.retained_bytes},
                      {"prepared", look.prepared}});
  }
  return series;
}

void AddSlot(const std::vector<SlotRecord>& looks, int64_t measure_from, json& figures) {
  std::vector<double> retained;
  retained.reserve(looks.size());
  for (const SlotRecord& look : looks) {
    retained.push_back(static_cast<double>(look.retained_bytes));
  }
  figures["retained_wal_bytes"] = DistributionJson(std::move(retained));
  if (!looks.empty()) figures["retained_wal_end_bytes"] = looks.back().retained_bytes;
  figures["retained_wal_series"] = Series(looks, measure_from);
}

struct Reads {
  int64_t reads = 0, wrong = 0;
  std::vector<double> waited_ms;
};

Reads ReadsOf(const std::vector<TokenReadRecord>& records, bool pair, bool with) {
  Reads reads;
  for (const TokenReadRecord& record : records) {
    if (record.pair != pair || record.with != with) continue;
    ++reads.reads;
    const bool wrong = pair ? *record.stock != *record.ledger
                            : !(record.stock ? *record.stock : *record.ledger);
    if (wrong) ++reads.wrong;
    if (record.waited_ms) reads.waited_ms.push_back(*record.waited_ms);
  }
  return reads;
}

void AddReads(const std::vector<TokenReadRecord>& records, json& figures) {
  const Reads blind = ReadsOf(records, false, false);
  Reads token = ReadsOf(records, false, true);
  const Reads apart = ReadsOf(records, true, false);
  Reads cut = ReadsOf(records, true, true);
  figures["own_reads"] = {{"without_token", {{"reads", blind.reads}, {"stale", blind.wrong}}},
                          {"with_token", {{"reads", token.reads}, {"stale", token.wrong}}}};
  figures["pair_reads"] = {
      {"without_cut", {{"reads", apart.reads}, {"fractured", apart.wrong}}},
      {"with_cut", {{"reads", cut.reads}, {"fractured", cut.wrong}}}};
  figures["token_wait_ms"] = DistributionJson(std::move(token.waited_ms));
  figures["cut_wait_ms"] = DistributionJson(std::move(cut.waited_ms));
}

}  // namespace

void AddDerivedFigures(const RepRecords& records, int64_t measure_from, int64_t drained,
                       json& figures) {
  if (records.slot) AddSlot(*records.slot, measure_from, figures);
  if (records.slot_waits) {
    std::vector<double> waits;
    for (const BlockedRecord& wait : *records.slot_waits) {
      waits.push_back(Milliseconds(wait.ended_ns.value_or(drained) - wait.started_ns));
    }
    figures["slot_wait_ms"] = DistributionJson(std::move(waits));
  }
  if (records.token_reads) AddReads(*records.token_reads, figures);
}

}  // namespace indoubt
