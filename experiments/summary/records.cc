#include "experiments/summary/records.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "experiments/summary/run_record.h"

namespace indoubt {
namespace {

using nlohmann::json;

/// Reads `path` whole; null when there is no such file.
Result<json> ReadDocument(const std::string& path) {
  std::ifstream in(path);
  if (!in) return json();
  std::ostringstream text;
  text << in.rdbuf();
  json document = json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded() || !document.is_object()) {
    return Status(StatusCode::kCorrupt,
                  path + ": not a JSON object; restore the file or run the scenario again");
  }
  return document;
}

/// A number or null, which must be there.
std::optional<int64_t> Whole(const json& line, const char* key) {
  const json& value = line.at(key);
  if (value.is_null()) return std::nullopt;
  return value.get<int64_t>();
}

/// Of the fields that tell one transaction from another: no figure needs them.
std::optional<int64_t> Number(const json& line, const char* key) {
  const json value = line.value(key, json());
  if (!value.is_number_integer()) return std::nullopt;
  return value.get<int64_t>();
}

std::string Name(const json& line, const char* key) {
  const json value = line.value(key, json());
  return value.is_string() ? value.get<std::string>() : "";
}

std::optional<OperationOutcome> ParseOutcome(const std::string& name) {
  static constexpr std::array<std::pair<std::string_view, OperationOutcome>, 6> kNames{{
      {"committed", OperationOutcome::kCommitted},
      {"rolled_back", OperationOutcome::kRolledBack},
      {"failed", OperationOutcome::kFailed},
      {"unknown", OperationOutcome::kUnknown},
      {"dropped", OperationOutcome::kDropped},
      {"censored", OperationOutcome::kCensored},
  }};
  for (const auto& [known, outcome] : kNames) {
    if (known == name) return outcome;
  }
  return std::nullopt;
}

// Each reads one line; the JSON library throws what is missing or of another type.

Status Parse(const json& line, OperationRecord& record) {
  record.measured = line.at("phase").get<std::string>() == "measure";
  const std::string name = line.at("outcome").get<std::string>();
  const auto outcome = ParseOutcome(name);
  if (!outcome) return Status(StatusCode::kCorrupt, "unknown outcome '" + name + "'");
  record.outcome = *outcome;
  record.intended_ns = line.at("intended_ns").get<int64_t>();
  record.started_ns = Whole(line, "started_ns");
  record.ended_ns = Whole(line, "ended_ns");
  record.gid = Name(line, "gid");
  record.order = Number(line, "order");
  record.account = Number(line, "account");
  record.item = Number(line, "item");
  const bool answered = record.outcome == OperationOutcome::kCommitted ||
                        record.outcome == OperationOutcome::kRolledBack;
  if (answered && (!record.started_ns || !record.ended_ns)) {
    return Status(StatusCode::kCorrupt, "an answered operation without its times");
  }
  return Status::Ok();
}

Status Parse(const json& line, InDoubtRecord& record) {
  record.store = Name(line, "store");
  record.gid = Name(line, "gid");
  record.first_seen_ns = line.at("first_seen_ns").get<int64_t>();
  record.last_seen_ns = line.at("last_seen_ns").get<int64_t>();
  return Status::Ok();
}

Status Parse(const json& line, BlockedRecord& record) {
  record.store = Name(line, "store");
  record.key = Name(line, "key");
  record.started_ns = line.at("started_ns").get<int64_t>();
  record.ended_ns = Whole(line, "ended_ns");
  return Status::Ok();
}

Status Parse(const json& line, LagRecord& record) {
  record.store = line.at("store").get<std::string>();
  record.order = Number(line, "order");
  record.committed_ns = line.at("committed_ns").get<int64_t>();
  record.visible_ns = Whole(line, "visible_ns");
  return Status::Ok();
}

Status Parse(const json& line, ReadRecord& record) {
  record.order = line.at("order").get<int64_t>();
  record.fractured = line.at("fractured").get<bool>();
  // A stable double collect: what disagreed, disagreed in the same way once more.
  const json& first = line.at("first");
  const bool torn = first.at(0) != first.at(1) && line.at("second") == first;
  if (torn != record.fractured) {
    return Status(StatusCode::kCorrupt, "'fractured' is not what its two collects say");
  }
  return Status::Ok();
}

Status Parse(const json& line, SlotRecord& record) {
  record.t_ns = line.at("t_ns").get<int64_t>();
  record.retained_bytes = line.at("retained_bytes").get<int64_t>();
  record.prepared = line.at("prepared").get<int64_t>();
  return Status::Ok();
}

std::optional<bool> Seen(const json& line, const char* key) {
  const json& value = line.at(key);
  if (value.is_null()) return std::nullopt;
  return value.get<bool>();
}

Status Parse(const json& line, TokenReadRecord& record) {
  const std::string kind = line.at("kind").get<std::string>();
  record.pair = kind == "pair";
  record.with = line.at("with").get<bool>();
  if (!line.at("waited_ms").is_null()) record.waited_ms = line.at("waited_ms").get<double>();
  record.stock = Seen(line, "stock");
  record.ledger = Seen(line, "ledger");
  const int stores = (record.stock ? 1 : 0) + (record.ledger ? 1 : 0);
  if ((kind != "own" && kind != "pair") || stores != (record.pair ? 2 : 1)) {
    return Status(StatusCode::kCorrupt, "a read of another kind than it says");
  }
  return Status::Ok();
}

Status Parse(const json& line, TimelineRecord& record) {
  record.t_ns = line.at("t_ns").get<int64_t>();
  record.in_doubt = Whole(line, "in_doubt");
  record.waiters = Whole(line, "waiters");
  const json& lag = line.at("lag_ms");
  if (lag.is_null()) return Status::Ok();
  for (const auto& [store, value] : lag.items()) {
    record.lag_ms[store] = value.is_null() ? std::nullopt : std::optional(value.get<double>());
  }
  return Status::Ok();
}

/// Exceptions of the JSON library end here.
template <typename Record>
Status ParseLine(const std::string& text, Record& record) {
  try {
    return Parse(json::parse(text), record);
  } catch (const json::exception& error) {
    return Status(StatusCode::kCorrupt, error.what());
  }
}

/// Reads a file of one JSON object a line.
template <typename Record>
Status ReadLines(const std::string& folder, const std::string& name,
                 std::optional<std::vector<Record>>& records,
                 std::vector<std::string>& cut_off) {
  const std::string path = folder + "/" + name;
  std::ifstream in(path);
  if (!in) return Status::Ok();
  records.emplace();
  std::string text;
  for (int64_t number = 1; std::getline(in, text); ++number) {
    const bool complete = !in.eof();  // getline stops at the end only without a newline
    if (complete && text.empty()) continue;
    Record record;
    const Status parsed = ParseLine(text, record);
    if (parsed.ok()) {
      records->push_back(std::move(record));
    } else if (!complete) {
      cut_off.push_back(name);
    } else {
      return Status(parsed.code(), path + ":" + std::to_string(number) + ": " +
                                       parsed.message() +
                                       "; the line is not as docs/run-format.md says");
    }
  }
  return Status::Ok();
}

}  // namespace

Result<RunRecords> ReadRun(const std::string& run_folder) {
  RunRecords records;
  INDOUBT_ASSIGN_OR_RETURN(records.run, ReadDocument(run_folder + "/run.json"));
  if (records.run.is_null()) {
    return Status(StatusCode::kNotFound,
                  run_folder + ": no run.json in there; name the folder of a run");
  }
  INDOUBT_RETURN_IF_ERROR(CheckRunRecord(records.run, run_folder + "/run.json"));
  records.run["status"] = StatusOfRun(records.run, run_folder);
  INDOUBT_ASSIGN_OR_RETURN(records.env, ReadDocument(run_folder + "/env.json"));
  return records;
}

Result<RepRecords> ReadRep(const std::string& rep_folder) {
  RepRecords records;
  INDOUBT_ASSIGN_OR_RETURN(records.rep, ReadDocument(rep_folder + "/rep.json"));
  auto& cut = records.cut_off;
  INDOUBT_RETURN_IF_ERROR(ReadLines(rep_folder, "ops.ndjson", records.operations, cut));
  INDOUBT_RETURN_IF_ERROR(ReadLines(rep_folder, "in_doubt.ndjson", records.in_doubt, cut));
  INDOUBT_RETURN_IF_ERROR(ReadLines(rep_folder, "blocked.ndjson", records.blocked, cut));
  INDOUBT_RETURN_IF_ERROR(ReadLines(rep_folder, "lag.ndjson", records.lag, cut));
  INDOUBT_RETURN_IF_ERROR(ReadLines(rep_folder, "reads.ndjson", records.reads, cut));
  INDOUBT_RETURN_IF_ERROR(ReadLines(rep_folder, "timeline.ndjson", records.timeline, cut));
  INDOUBT_RETURN_IF_ERROR(ReadLines(rep_folder, "slot.ndjson", records.slot, cut));
  INDOUBT_RETURN_IF_ERROR(ReadLines(rep_folder, "slot_waits.ndjson", records.slot_waits, cut));
  INDOUBT_RETURN_IF_ERROR(
      ReadLines(rep_folder, "token_reads.ndjson", records.token_reads, cut));
  return records;
}

}  // namespace indoubt
