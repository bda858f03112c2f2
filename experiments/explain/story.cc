#include "experiments/explain/story.h"

#include <algorithm>
#include <limits>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "experiments/explain/transaction_records.h"

namespace indoubt {
namespace {

using nlohmann::json;

// A writer that waited less than this met no lock that anybody would notice.
constexpr double kNoticedMs = 1;
constexpr double kLongMs = 100;
constexpr size_t kMostWaiters = 10;
constexpr size_t kMostCandidates = 5;

double Ms(int64_t nanos) { return static_cast<double>(nanos) / 1e6; }

std::string Words(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

class Teller {
 public:
  explicit Teller(TransactionRecords records) : records_(std::move(records)) {
    FindSpan();
    FindKeys(records_.operation);
  }

  Result<std::vector<StoryLine>> Tell() {
    if (records_.operation.is_null()) {
      INDOUBT_RETURN_IF_ERROR(TellWithoutAnswer());
    } else {
      TellOperation();
    }
    TellInDoubt();
    TellFaults();
    INDOUBT_RETURN_IF_ERROR(TellWaiters());
    if (order_ != 0) {
      INDOUBT_RETURN_IF_ERROR(TellReads());
      INDOUBT_RETURN_IF_ERROR(TellLag());
    }
    std::stable_sort(lines_.begin(), lines_.end(), [](const StoryLine& a, const StoryLine& b) {
      return *a.at_ms < *b.at_ms;
    });
    TellLog();
    TellEnd();
    return std::move(lines_);
  }

 private:
  /// From the first to the last moment that any record has of it.
  void FindSpan() {
    begin_ = std::numeric_limits<int64_t>::max();
    end_ = std::numeric_limits<int64_t>::min();
    const auto include = [this](const json& time) {
      if (!time.is_number()) return;
      begin_ = std::min(begin_, time.get<int64_t>());
      end_ = std::max(end_, time.get<int64_t>());
    };
    const json& op = records_.operation;
    if (op.is_object()) {
      include(op.at("started_ns").is_null() ? op.at("intended_ns") : op.at("started_ns"));
      include(op.at("ended_ns"));
    }
    for (const json& line : records_.in_doubt) {
      include(line.at("first_seen_ns"));
      include(line.at("last_seen_ns"));
    }
    if (begin_ > end_) begin_ = end_ = 0;  // only the log has it: no time is known
  }

  void FindKeys(const json& op) {
    if (!op.is_object()) return;
    const auto number = [&op](const char* key) {
      return op.at(key).is_number() ? op.at(key).get<int64_t>() : int64_t{0};
    };
    order_ = number("order");
    const int64_t item = number("item");
    if (order_ != 0) {
      keys_ = {fmt::format("account:{}", number("account")), fmt::format("stock:{}", item),
               fmt::format("reserved:{}", order_), fmt::format("order:{}", order_)};
    } else {
      keys_ = {fmt::format("price:{}", item)};
    }
  }

  void Add(int64_t at_ns, std::string text) {
    lines_.push_back({Ms(at_ns - begin_), std::move(text)});
  }
  void AddTimeless(std::string text) { lines_.push_back({std::nullopt, std::move(text)}); }

  void TellOperation() {
    const json& op = records_.operation;
    std::string what = fmt::format("operation {} ({}) starts", op.at("i").dump(),
                                   op.at("op").get<std::string>());
    for (const char* key : {"order", "account", "item"}) {
      if (!op.at(key).is_null()) what += fmt::format(", {} {}", key, op.at(key).dump());
    }
    const double queued = Ms(begin_ - op.at("intended_ns").get<int64_t>());
    if (!op.at("started_ns").is_null() && queued >= kNoticedMs) {
      what += fmt::format("; it was due {:.1f} ms earlier", queued);
    }
    Add(begin_, what + fmt::format(" ({})", op.at("phase").get<std::string>()));
    const std::string outcome = op.at("outcome").get<std::string>();
    if (op.at("ended_ns").is_null()) {
      AddTimeless("its client was never answered (" + outcome + ")");
      lines_.back().at_ms = Ms(end_ - begin_);
      return;
    }
    const int64_t ended = op.at("ended_ns").get<int64_t>();
    const json reason = op.value("reason", json());
    Add(ended, fmt::format("its client is answered: {}{}", outcome,
                           reason.is_string() ? " (" + reason.get<std::string>() + ")" : ""));
    TellVotes(ended);
  }

  void TellVotes(int64_t answered) {
    const json votes = records_.operation.value("participants", json());
    if (!votes.is_array()) {
      return Add(answered, "how each store voted stood in no answer that was recorded");
    }
    for (const json& one : votes) {
      Add(answered, fmt::format("  {}: vote {}, acknowledged {}", Words(one.at("name")),
                                Words(one.at("vote")), Words(one.at("ack"))));
    }
  }

  /// Its client got no answer, so that no operation names it: which it may have been.
  Status TellWithoutAnswer() {
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

  void TellInDoubt() {
    for (const json& line : records_.in_doubt) {
      const std::string store = line.at("store").get<std::string>();
      const auto first = line.at("first_seen_ns").get<int64_t>();
      const auto last = line.at("last_seen_ns").get<int64_t>();
      Add(first, store + ": seen prepared, so its yes vote is in; undecided there");
      Add(last, fmt::format("{}: seen prepared for the last time, after {:.1f} ms", store,
                            Ms(last - first)));
    }
  }

  /// Those between whose striking and healing any of it happened.
  void TellFaults() {
    if (!records_.rep.is_object()) return;
    for (const json& fault : records_.rep.at("faults")) {
      const json& observed = fault.at("observed_at_ns");
      const json& healed = fault.at("healed_at_ns");
      if (!observed.is_number() || observed.get<int64_t>() > end_) continue;
      if (healed.is_number() && healed.get<int64_t>() < begin_) continue;
      const std::string name =
          fmt::format("FAULT {} of {}{}", Words(fault.at("kind")), Words(fault.at("target")),
                      fault.at("point").is_null() ? "" : " at " + Words(fault.at("point")));
      Add(observed.get<int64_t>(), name + ": seen to act");
      if (healed.is_number()) {
        Add(healed.get<int64_t>(), name + ": healed");
      } else {
        Add(end_, name + ": not healed");
      }
    }
  }

  /// Writers that waited for its keys; where these are not known, whoever waited long.
  Status TellWaiters() {
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
    std::stable_sort(waits.begin(), waits.end(), [](const StoryLine& a, const StoryLine& b) {
      return *a.at_ms < *b.at_ms;
    });
    if (waits.size() > kMostWaiters) {
      waits[kMostWaiters - 1].text +=
          fmt::format(" (and {} more after it)", waits.size() - kMostWaiters);
      waits.resize(kMostWaiters);
    }
    lines_.insert(lines_.end(), waits.begin(), waits.end());
    return Status::Ok();
  }

  Result<std::vector<json>> OfOrder(const char* file) {
    INDOUBT_ASSIGN_OR_RETURN(
        std::vector<json> lines,
        LinesWith(records_.folder, file, fmt::format("\"order\":{}", order_)));
    lines.erase(std::remove_if(lines.begin(), lines.end(),
                               [this](const json& line) { return line.at("order") != order_; }),
                lines.end());
    return lines;
  }

  Status TellReads() {
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

  Status TellLag() {
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

  void TellLog() {
    if (!records_.log_kept) {
      return AddTimeless("the coordinator's log was not kept with this run");
    }
    for (const json& record : records_.decisions) {
      AddTimeless(fmt::format("the coordinator's log, {}:{}: {} {}", Words(record.at("file")),
                              record.at("offset").dump(), Words(record.at("kind")),
                              Words(record.at("detail"))));
    }
    if (records_.decisions.empty()) {
      const json& op = records_.operation;
      AddTimeless(
          op.is_object() && op.at("outcome") == "committed"
              ? "the coordinator's log no longer holds it: it ended and was cleaned away"
              : "the coordinator's log holds no decision to commit it: presumed abort, or "
                "it ended and was cleaned away");
    }
  }

  void TellEnd() {
    if (!records_.watched) AddTimeless("nobody watched the stores for prepared branches here");
    const json final = records_.rep.is_object() ? records_.rep.value("final", json()) : json();
    if (!final.is_object()) return AddTimeless("the stores were not compared at the end");
    bool clean = true;
    for (const json& entry : final.at("inconsistent")) {
      if (!keys_.contains(entry.at("key").get<std::string>())) continue;
      clean = false;
      AddTimeless(fmt::format("at the end the stores disagree on {}: {}",
                              Words(entry.at("key")), entry.at("values").dump()));
    }
    const std::string key = fmt::format("order:{}", order_);
    for (const auto& [list, words] :
         {std::pair("lost_acknowledged", "was acknowledged and is missing"),
          std::pair("resurrected", "was answered as rolled back and is there")}) {
      for (const json& lost : final.at(list)) {
        if (order_ == 0 || lost != key) continue;
        clean = false;
        AddTimeless(fmt::format("at the end {} {}", key, words));
      }
    }
    if (keys_.empty()) {
      AddTimeless("which keys it wrote is not recorded");
    } else if (clean) {
      AddTimeless("at the end all stores agree on its keys");
    }
  }

  TransactionRecords records_;
  int64_t begin_ = 0, end_ = 0, order_ = 0;
  std::set<std::string> keys_;
  std::vector<StoryLine> lines_;
};

}  // namespace

Result<Story> TellStory(const std::string& run_folder, const std::string& gid) {
  INDOUBT_ASSIGN_OR_RETURN(TransactionRecords records, FindTransaction(run_folder, gid));
  Story story{gid, records.cell, records.repetition, {}};
  const std::string folder = records.folder;
  try {
    INDOUBT_ASSIGN_OR_RETURN(story.lines, Teller(std::move(records)).Tell());
  } catch (const json::exception& error) {
    return Status(StatusCode::kCorrupt,
                  folder + ": a record is not as docs/run-format.md says: " + error.what());
  }
  return story;
}

std::string StoryText(const Story& story) {
  std::string text = fmt::format("{}, of {} repetition {}; milliseconds since its start",
                                 story.gid, story.cell, story.repetition);
  for (const StoryLine& line : story.lines) {
    text += line.at_ms ? fmt::format("\n{:>+12.3f}  {}", *line.at_ms, line.text)
                       : fmt::format("\n{:>12}  {}", "", line.text);
  }
  return text;
}

}  // namespace indoubt
