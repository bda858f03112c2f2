// What went on around a transaction while it lived: faults, waiters, readers.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/explain/teller.h"

namespace indoubt {
namespace {

constexpr double kLongMs = 100;
constexpr size_t kMostWaiters = 10;
constexpr size_t kMostCandidates = 5;

}  // namespace

using nlohmann::json;

Status Teller::TellWithoutAnswer() {
  INDOUBT_ASSIGN_OR_RETURN(const auto operations,
                           LinesWith(records_.folder, "ops.ndjson", "\"gid\":null"));
  std::vector<std::string> candidates;
  size_t count = 0;
  json last;
  for (const json& op : operations) {
    const json started = op.value("started_ns", json());
    const json ended = op.value("ended_ns", json());
    const std::string outcome = op.value("outcome", std::string());
    const bool unanswered = outcome == "unknown" || outcome == "censored";
    if (!unanswered || !started.is_number() || started.get<int64_t>() > begin_) continue;
    if (ended.is_number() && ended.get<int64_t>() < begin_) continue;
    last = op;
    if (++count <= kMostCandidates) {
      candidates.push_back(
          fmt::format("{} (order {})", op.at("i").dump(), Words(op.value("order", json()))));
    }
  }
  if (count == 1) {
    FindKeys(last);
    Add(begin_, "its client was not answered; it was operation " + candidates.front() +
                    ", the only unanswered one under way");
    return Status::Ok();
  }
  Add(begin_, count == 0
                  ? std::string("no answer to a client names it, and no unanswered operation "
                                "was under way")
                  : fmt::format("its client was not answered; of the unanswered operations "
                                "{} were under way: {}{}",
                                count, fmt::join(candidates, ", "),
                                count > kMostCandidates ? ", ..." : ""));
  return Status::Ok();
}

void Teller::TellFaults() {
  if (!records_.rep.is_object()) return;
  for (const json& fault : records_.rep.at("faults")) {
    const json& observed = fault.at("observed_at_ns");
    const json& healed = fault.at("healed_at_ns");
    if (!observed.is_number() || observed.get<int64_t>() > end_) continue;
    if (healed.is_number() && healed.get<int64_t>() < begin_) continue;
    const std::string name =
        fmt::format("FAULT {} of {}{}{}", Words(fault.at("kind")), Words(fault.at("target")),
                    fault.at("point").is_null() ? "" : " at " + Words(fault.at("point")),
                    fault.value("by_hand", false) ? " by hand" : "");
    Add(observed.get<int64_t>(), name + ": seen to act");
    if (healed.is_number()) {
      Add(healed.get<int64_t>(), name + ": healed");
    } else {
      Add(end_, name + ": not healed");
    }
  }
}

Status Teller::TellWaiters() {
  INDOUBT_ASSIGN_OR_RETURN(const auto lines,
                           LinesWith(records_.folder, "blocked.ndjson", "\"key\""));
  const double least = keys_.empty() ? kLongMs : kNoticedMs;
  std::vector<StoryLine> waits;
  for (const json& line : lines) {
    const std::string key = line.at("key").get<std::string>();
    const auto from = line.at("started_ns").get<int64_t>();
    const json& ended = line.at("ended_ns");
    const int64_t to = ended.is_number() ? ended.get<int64_t>() : end_;
    if (to < begin_ || from > end_ || (!keys_.empty() && !keys_.contains(key))) continue;
    if (Ms(to - from) < least && ended.is_number()) continue;
    waits.push_back({Ms(from - begin_),
                     fmt::format("an outside writer wants {} in {} and waits {}", key,
                                 Words(line.at("store")),
                                 ended.is_number() ? fmt::format("{:.1f} ms", Ms(to - from))
                                                   : std::string("to the end"))});
  }
  std::stable_sort(waits.begin(), waits.end(),
                   [](const StoryLine& a, const StoryLine& b) { return *a.at_ms < *b.at_ms; });
  if (waits.size() > kMostWaiters) {
    waits[kMostWaiters - 1].text +=
        fmt::format(" (and {} more after it)", waits.size() - kMostWaiters);
    waits.resize(kMostWaiters);
  }
  lines_.insert(lines_.end(), waits.begin(), waits.end());
  return Status::Ok();
}

Result<std::vector<json>> Teller::OfOrder(const char* file) {
  INDOUBT_ASSIGN_OR_RETURN(
      std::vector<json> lines,
      LinesWith(records_.folder, file, fmt::format("\"order\":{}", order_)));
  lines.erase(std::remove_if(lines.begin(), lines.end(),
                             [this](const json& line) { return line.at("order") != order_; }),
              lines.end());
  return lines;
}

Status Teller::TellReads() {
  INDOUBT_ASSIGN_OR_RETURN(const std::vector<json> reads, OfOrder("reads.ndjson"));
  for (const json& read : reads) {
    if (!read.at("fractured").get<bool>()) continue;
    const json stores = read.value("stores", json::array({"one store", "another"}));
    const bool in_first = read.at("first").at(0).get<bool>();
    Add(read.at("t_ns").get<int64_t>(),
        fmt::format("a reader sees the order in {} and, twice, not in {}: a fractured read",
                    Words(stores.at(in_first ? 0 : 1)), Words(stores.at(in_first ? 1 : 0))));
  }
  return Status::Ok();
}

Status Teller::TellLag() {
  INDOUBT_ASSIGN_OR_RETURN(const std::vector<json> lags, OfOrder("lag.ndjson"));
  for (const json& lag : lags) {
    if (lag.at("visible_ns").is_null()) {
      AddTimeless(fmt::format("{}: the order was never seen there", Words(lag.at("store"))));
      lines_.back().at_ms = Ms(end_ - begin_);
      continue;
    }
    Add(lag.at("visible_ns").get<int64_t>(),
        fmt::format("{}: a poll sees the order", Words(lag.at("store"))));
  }
  return Status::Ok();
}

}  // namespace indoubt
