#include "experiments/summary/price.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/judgement.h"

namespace indoubt {
namespace {

using nlohmann::json;

// A price is worth a headline from a tenth of a second: below, nobody waits for it.
constexpr double kNoticeableMs = 100;
constexpr double kNoticeableShare = 0.01;

std::optional<double> Number(const json& cell, const std::string& figure) {
  return FigureOver(cell, figure).value;
}

using AsText = std::string (*)(const json&);

/// "10.4 s", with its 95 percent interval where the repetitions gave one.
std::string WithInterval(const json& cell, const std::string& figure, AsText show) {
  std::string text = show(CellFigure(cell, figure));
  const json stats = cell.value("stats", json::object());
  if (!stats.contains(figure) || stats.at(figure).at("ci_low").is_null()) return text;
  const json& stat = stats.at(figure);
  return fmt::format("{} (95 percent interval {} to {}, {} repetitions)", text,
                     show(stat.at("ci_low")), show(stat.at("ci_high")),
                     stat.at("n").get<int64_t>());
}

std::string DurationAndInterval(const json& cell, const std::string& figure) {
  return WithInterval(cell, figure, [](const json& value) { return DurationText(value); });
}

/// Keys and writes that are wrong for good; empty: none is.
std::string Lost(const json& cell) {
  const double permanent = Number(cell, "inconsistent.permanent").value_or(0);
  const double lost = Number(cell, "lost_acknowledged").value_or(0);
  if (permanent <= 0 && lost <= 0) return "";
  std::string price = CountText(permanent, "key", "keys") + " inconsistent for good";
  if (lost > 0) {
    price += " and " + CountText(lost, "acknowledged write", "acknowledged writes") + " lost";
  }
  return price;
}

/// The longest wait, for a lock or for derived data; empty: nobody noticed any.
std::string Waited(const json& cell) {
  const auto blocked = Number(cell, "blocked_ms.max");
  const auto in_doubt = Number(cell, "in_doubt_ms.max");
  const auto lag = Number(cell, "lag_ms.max");
  const double waiting = std::max(blocked.value_or(0), in_doubt.value_or(0));
  if (waiting >= kNoticeableMs && waiting >= lag.value_or(0)) {
    if (!blocked)
      return "up to " + DurationAndInterval(cell, "in_doubt_ms.max") +
             " in doubt (blocking not measured)";
    return fmt::format("writers blocked for up to {}",
                       DurationAndInterval(cell, "blocked_ms.max")) +
           (in_doubt ? " while transactions were in doubt for up to " + DurationText(*in_doubt)
                     : std::string());
  }
  if (lag.value_or(0) < kNoticeableMs) return "";
  return "data stale for up to " + DurationAndInterval(cell, "lag_ms.max");
}

/// A transaction that stays in doubt beside the path's slot: what its source keeps for it.
void AddSlot(const json& cell, std::vector<std::string>& prices) {
  if (!Number(cell, "slot_wait_ms.max")) return;  // nobody was in the slots' way
  if (Number(cell, "retained_wal_bytes.max")) {
    prices.push_back(fmt::format("up to {} of log kept at its source for the slot",
                                 WithInterval(cell, "retained_wal_bytes.max", BytesText)));
  }
  prices.push_back(fmt::format("a wait of up to {} for whoever made another slot",
                               DurationAndInterval(cell, "slot_wait_ms.max")));
}

struct ReadsInPairs {
  const char* of;  // "reads of one's own write"
  const char* wrong_word;
  const char *reads, *wrong;            // without
  const char* with;                     // "with its token"
  const char *with_reads, *with_wrong;  // with it
};
constexpr std::array<ReadsInPairs, 2> kReads{{
    {"reads of one's own write", "stale", "own_reads.without_token.reads",
     "own_reads.without_token.stale", "with its token", "own_reads.with_token.reads",
     "own_reads.with_token.stale"},
    {"reads of both derived stores", "fractured", "pair_reads.without_cut.reads",
     "pair_reads.without_cut.fractured", "at one cut", "pair_reads.with_cut.reads",
     "pair_reads.with_cut.fractured"},
}};

/// "12 of 2000"; of no reads, that none was made.
std::string Share(const json& cell, const char* wrong, const char* reads) {
  const auto all = Number(cell, reads);
  if (all.value_or(0) == 0) return "not measured";
  const auto some = Number(cell, wrong);
  return some ? fmt::format("{:.0f} of {:.0f}", *some, *all) : "not measured";
}

void AddReads(const json& cell, std::vector<std::string>& prices) {
  for (const ReadsInPairs& kind : kReads) {
    if (!Number(cell, kind.reads)) continue;
    prices.push_back(fmt::format("{} {}: {} ({}: {})", kind.wrong_word, kind.of,
                                 Share(cell, kind.wrong, kind.reads), kind.with,
                                 Share(cell, kind.with_wrong, kind.with_reads)));
  }
}

std::vector<std::string> OwnFigures(const json& cell) {
  std::vector<std::string> own;
  AddSlot(cell, own);
  AddReads(cell, own);
  return own;
}

bool EveryRepetitionDisturbed(const json& cell) {
  const json& reps = cell.at("reps");
  return !reps.empty() && std::all_of(reps.begin(), reps.end(), [](const json& rep) {
    return rep.at("status") == "disturbed";
  });
}

std::string Price(const json& cell) {
  if (std::string lost = Lost(cell); !lost.empty()) return lost;
  if (EveryRepetitionDisturbed(cell)) {
    return "a price that was not measured (each of its repetitions was disturbed by hand)";
  }
  std::vector<std::string> prices = OwnFigures(cell);
  if (std::string waited = Waited(cell); !waited.empty()) prices.push_back(std::move(waited));
  if (!prices.empty()) return fmt::format("{}", fmt::join(prices, ", and "));
  if (!Number(cell, "inconsistent.permanent")) {
    return "a price that was not measured (the stores were not compared)";
  }
  const json p99 = CellFigure(cell, "response_ms.p99");
  if (!p99.is_number()) return "a price that was not measured (nothing was answered)";
  return "nothing beyond its response time (p99 " + DurationText(p99) + ")";
}

/// What was turned away or left out is a price too: its response time is in no percentile.
std::string Refused(const json& cell) {
  const auto attempted = Number(cell, "attempted");
  const double refused =
      Number(cell, "failed").value_or(0) + Number(cell, "dropped").value_or(0);
  if (attempted.value_or(0) == 0 || refused < kNoticeableShare * *attempted) return "";
  return fmt::format(", and {:.0f} percent of its operations refused",
                     100 * refused / *attempted);
}

}  // namespace

std::string PriceText(const json& cell) {
  if (const std::string why = WhyNotJudged(cell); !why.empty()) return "is " + why;
  return "paid " + Price(cell) + Refused(cell);
}

std::string FiguresOfItsOwn(const json& cell) {
  std::string text;
  if (const json most = CellFigure(cell, "retained_wal_bytes.max"); most.is_number()) {
    text += fmt::format("; log that its source kept for the slot: at most {}, at the end {}",
                        BytesText(most), BytesText(CellFigure(cell, "retained_wal_end_bytes")));
  }
  if (Number(cell, "slot_wait_ms.n")) {
    text += "; longest wait for another slot: " + DurationText(cell, "slot_wait_ms.max");
  }
  std::vector<std::string> reads;
  AddReads(cell, reads);
  for (const std::string& each : reads) text += "; " + each;
  return text;
}

std::string BytesText(const json& bytes) {
  if (!bytes.is_number()) return "not measured";
  const double value = bytes.get<double>();
  if (value < (1 << 20)) return fmt::format("{:.1f} KiB", value / (1 << 10));
  return fmt::format("{:.1f} MiB", value / (1 << 20));
}

}  // namespace indoubt
