#include "experiments/explain/story.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "experiments/explain/teller.h"

namespace indoubt {

using nlohmann::json;

Result<std::vector<StoryLine>> Teller::Tell() {
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
  std::stable_sort(lines_.begin(), lines_.end(),
                   [](const StoryLine& a, const StoryLine& b) { return *a.at_ms < *b.at_ms; });
  TellLog();
  TellEnd();
  return std::move(lines_);
}

void Teller::FindSpan() {
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

void Teller::FindKeys(const json& op) {
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

void Teller::Add(int64_t at_ns, std::string text) {
  lines_.push_back({Ms(at_ns - begin_), std::move(text)});
}

void Teller::TellOperation() {
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

void Teller::TellVotes(int64_t answered) {
  const json votes = records_.operation.value("participants", json());
  if (!votes.is_array()) {
    return Add(answered, "how each store voted stood in no answer that was recorded");
  }
  for (const json& one : votes) {
    Add(answered, fmt::format("  {}: vote {}, acknowledged {}", Words(one.at("name")),
                              Words(one.at("vote")), Words(one.at("ack"))));
  }
}

void Teller::TellInDoubt() {
  for (const json& line : records_.in_doubt) {
    const std::string store = line.at("store").get<std::string>();
    const auto first = line.at("first_seen_ns").get<int64_t>();
    const auto last = line.at("last_seen_ns").get<int64_t>();
    Add(first, store + ": seen prepared, so its yes vote is in; undecided there");
    Add(last, fmt::format("{}: seen prepared for the last time, after {:.1f} ms", store,
                          Ms(last - first)));
  }
}

void Teller::TellLog() {
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

void Teller::TellEnd() {
  if (!records_.watched) AddTimeless("nobody watched the stores for prepared branches here");
  const json final = records_.rep.is_object() ? records_.rep.value("final", json()) : json();
  if (!final.is_object()) return AddTimeless("the stores were not compared at the end");
  bool clean = true;
  for (const json& entry : final.at("inconsistent")) {
    if (!keys_.contains(entry.at("key").get<std::string>())) continue;
    clean = false;
    AddTimeless(fmt::format("at the end the stores disagree on {}: {}", Words(entry.at("key")),
                            entry.at("values").dump()));
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
