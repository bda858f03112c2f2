#include "experiments/history/history.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <queue>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace indoubt {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 3> kOrderStores{"accounts", "stock", "ledger"};
constexpr std::array<const char*, 2> kPriceStores{"accounts", "stock"};

/// An operation with its beginning and its end.
struct Span {
  int64_t from_ns = 0;
  std::optional<int64_t> to_ns;  // none: never answered
  EventType end = EventType::kOk;
  std::vector<MicroOperation> invoked, completed;
};

template <typename OnLine>
Status EachLine(const std::string& path, OnLine on_line) {
  std::ifstream in(path);
  std::string text;
  for (int64_t number = 1; std::getline(in, text); ++number) {
    const bool complete = !in.eof();  // a last line cut off is left out
    if (text.empty()) continue;
    try {
      on_line(json::parse(text));
    } catch (const json::exception& error) {
      if (!complete) return Status::Ok();
      return Status(StatusCode::kCorrupt, fmt::format("{}:{}: {}", path, number, error.what()));
    }
  }
  return Status::Ok();
}

std::string Key(const std::string& store, const std::string& kind, int64_t id) {
  return fmt::format("{}/{}:{}", store, kind, id);
}

/// What an operation writes; the same on every path, also where a store is derived.
std::vector<MicroOperation> Writes(const json& op) {
  std::vector<MicroOperation> writes;
  if (op.at("order").is_number()) {
    const auto order = op.at("order").get<int64_t>();
    for (const char* store : kOrderStores)
      writes.push_back({true, Key(store, "order", order), order});
  } else {
    const auto item = op.at("item").get<int64_t>();
    for (const char* store : kPriceStores) {
      writes.push_back({true, Key(store, "price", item), op.at("amount").get<int64_t>()});
    }
  }
  return writes;
}

EventType EndOf(const std::string& outcome) {
  if (outcome == "committed") return EventType::kOk;
  return outcome == "rolled_back" || outcome == "failed" ? EventType::kFail : EventType::kInfo;
}

class Reader {
 public:
  explicit Reader(std::string folder) : folder_(std::move(folder)) {}

  Result<std::vector<HistoryEvent>> Read() {
    if (!std::filesystem::exists(folder_ + "/ops.ndjson")) {
      return Status(StatusCode::kNotFound, folder_ + "/ops.ndjson: not there; no history");
    }
    INDOUBT_RETURN_IF_ERROR(
        EachLine(folder_ + "/ops.ndjson", [this](const json& op) { AddOperation(op); }));
    INDOUBT_RETURN_IF_ERROR(
        EachLine(folder_ + "/reads.ndjson", [this](const json& read) { AddRead(read); }));
    INDOUBT_RETURN_IF_ERROR(AddLastState());
    return Events();
  }

 private:
  void AddOperation(const json& op) {
    if (op.at("started_ns").is_null()) return;  // dropped, or never begun
    Span span;
    span.from_ns = op.at("started_ns").get<int64_t>();
    if (op.at("ended_ns").is_number()) span.to_ns = op.at("ended_ns").get<int64_t>();
    span.end = EndOf(op.at("outcome").get<std::string>());
    span.invoked = span.completed = Writes(op);
    if (op.at("order").is_number()) orders_.insert(op.at("order").get<int64_t>());
    Add(std::move(span));
  }

  void AddRead(const json& read) {
    const json& seen = read.at("second").is_null() ? read.at("first") : read.at("second");
    const auto order = read.at("order").get<int64_t>();
    std::vector<MicroOperation> reads;
    for (size_t i = 0; i < 2; ++i) {
      reads.push_back({false, Key(read.at("stores").at(i).get<std::string>(), "order", order),
                       seen.at(i).get<bool>() ? std::optional(order) : std::nullopt});
    }
    AddReadAt(read.at("t_ns").get<int64_t>(), std::move(reads));
  }

  void AddReadAt(int64_t at_ns, std::vector<MicroOperation> reads) {
    Span span;
    span.from_ns = at_ns;
    span.to_ns = at_ns;
    span.completed = std::move(reads);
    span.invoked = span.completed;
    for (MicroOperation& read : span.invoked) read.value.reset();
    Add(std::move(span));
  }

  /// Without state.ndjson there is nothing to say of the end.
  Status AddLastState() {
    const std::string path = folder_ + "/state.ndjson";
    if (!std::filesystem::exists(path)) return Status::Ok();
    std::set<std::string> held;             // "stock/order:17"
    std::map<std::string, int64_t> prices;  // "stock/price:5"
    std::set<int64_t> items;
    INDOUBT_RETURN_IF_ERROR(EachLine(path, [&](const json& line) {
      const std::string key = line.at("key").get<std::string>();
      const std::string full = line.at("store").get<std::string>() + "/" + key;
      const json& value = line.at("value");
      const int64_t id = std::strtoll(key.c_str() + key.find(':') + 1, nullptr, 10);
      if (key.starts_with("order:")) {
        held.insert(full);
        orders_.insert(id);
      } else if (key.starts_with("price:") && !value.is_null()) {
        items.insert(id);
        prices[full] = value.is_string()
                           ? std::strtoll(value.get<std::string>().c_str(), nullptr, 10)
                           : value.get<int64_t>();
      }
    }));
    const int64_t at = last_ns_ + 1;
    for (const int64_t order : orders_) {
      std::vector<MicroOperation> reads;
      for (const char* store : kOrderStores) {
        const std::string key = Key(store, "order", order);
        reads.push_back({false, key, held.contains(key) ? std::optional(order) : std::nullopt});
      }
      AddReadAt(at, std::move(reads));
    }
    for (const int64_t item : items) {
      std::vector<MicroOperation> reads;
      for (const char* store : kPriceStores) {
        const auto price = prices.find(Key(store, "price", item));
        reads.push_back({false, Key(store, "price", item),
                         price == prices.end() ? std::nullopt : std::optional(price->second)});
      }
      AddReadAt(at, std::move(reads));
    }
    return Status::Ok();
  }

  void Add(Span span) {
    last_ns_ = std::max({last_ns_, span.from_ns, span.to_ns.value_or(0)});
    spans_.push_back(std::move(span));
  }

  std::vector<HistoryEvent> Events() const {
    struct Moment {
      int64_t at_ns;
      int rank;  // at one moment: who was under way ends, then others begin, and end
      size_t span;
    };
    std::vector<Moment> moments;
    for (size_t i = 0; i < spans_.size(); ++i) {
      const Span& span = spans_[i];
      const int64_t to = span.to_ns.value_or(last_ns_ + 1);
      moments.push_back({span.from_ns, 1, i});
      moments.push_back({to, to == span.from_ns ? 2 : 0, i});
    }
    std::stable_sort(moments.begin(), moments.end(), [](const Moment& a, const Moment& b) {
      return std::pair(a.at_ns, a.rank) < std::pair(b.at_ns, b.rank);
    });
    std::vector<HistoryEvent> events;
    std::vector<int64_t> process_of(spans_.size(), -1);
    std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>> free;
    int64_t processes = 0;
    for (const Moment& moment : moments) {
      const Span& span = spans_[moment.span];
      int64_t& process = process_of[moment.span];
      const bool begins = process < 0;
      if (begins && free.empty()) free.push(processes++);
      if (begins) {
        process = free.top();
        free.pop();
      } else if (span.end != EventType::kInfo) {
        free.push(process);
      }
      events.push_back({begins ? EventType::kInvoke : span.end, process,
                        moment.at_ns - moments.front().at_ns,
                        begins ? span.invoked : span.completed});
    }
    return events;
  }

  const std::string folder_;
  std::vector<Span> spans_;
  std::set<int64_t> orders_;
  int64_t last_ns_ = 0;
};

const char* Word(EventType type) {
  switch (type) {
    case EventType::kInvoke:
      return "invoke";
    case EventType::kOk:
      return "ok";
    case EventType::kFail:
      return "fail";
    case EventType::kInfo:
      return "info";
  }
  return "info";
}

}  // namespace

Result<std::vector<HistoryEvent>> ReadHistory(const std::string& rep_folder) {
  return Reader(rep_folder).Read();
}

std::string HistoryJson(const std::vector<HistoryEvent>& history) {
  std::string out = "[";
  for (size_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history[i];
    json value = json::array();
    for (const MicroOperation& one : event.value) {
      value.push_back({one.write ? "w" : "r", one.key, one.value ? json(*one.value) : json()});
    }
    out += i == 0 ? "\n" : ",\n";
    out += json{{"index", i}, {"type", Word(event.type)}, {"process", event.process},
                {"f", "txn"}, {"time", event.time_ns},    {"value", std::move(value)}}
               .dump();
  }
  return out + "\n]\n";
}

std::string HistoryEdn(const std::vector<HistoryEvent>& history) {
  std::string out;
  for (size_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history[i];
    std::string value;
    for (const MicroOperation& one : event.value) {
      // Keys are of STORE/KIND:NUMBER: nothing in them needs an escape.
      value += fmt::format("{}[:{} \"{}\" {}]", value.empty() ? "" : " ", one.write ? "w" : "r",
                           one.key, one.value ? std::to_string(*one.value) : "nil");
    }
    out +=
        fmt::format("{{:index {}, :type :{}, :process {}, :f :txn, :time {}, :value [{}]}}\n",
                    i, Word(event.type), event.process, event.time_ns, value);
  }
  return out;
}

}  // namespace indoubt
