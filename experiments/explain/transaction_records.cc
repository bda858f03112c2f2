#include "experiments/explain/transaction_records.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/summary/records.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr size_t kExamples = 3;

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

/// The lines whose "gid" is this one.
Result<std::vector<json>> LinesOf(const std::string& folder, const std::string& name,
                                  const std::string& gid) {
  // As it stands in the file; a gid that JSON escapes is no gid and is found nowhere.
  INDOUBT_ASSIGN_OR_RETURN(std::vector<json> lines, LinesWith(folder, name, "\"" + gid + "\""));
  lines.erase(
      std::remove_if(lines.begin(), lines.end(),
                     [&](const json& line) { return line.value("gid", json()) != gid; }),
      lines.end());
  return lines;
}

/// Adds the gids of a file, up to `kExamples` of them as examples.
Status CountGids(const std::string& folder, const std::string& name,
                 std::set<std::string>& all) {
  INDOUBT_ASSIGN_OR_RETURN(const std::vector<json> lines, LinesWith(folder, name, "\"gid\""));
  for (const json& line : lines) {
    const json gid = line.value("gid", json());
    if (gid.is_string()) all.insert(gid.get<std::string>());
  }
  return Status::Ok();
}

Status NoSuchGid(const std::string& run_folder, const json& run, const std::string& gid) {
  std::set<std::string> known;
  std::vector<std::string> cells;
  for (const json& cell : run.at("cells")) {
    cells.push_back(cell.at("name").get<std::string>());
    for (const json& rep : cell.at("reps")) {
      const std::string folder = run_folder + "/" + rep.at("dir").get<std::string>();
      INDOUBT_RETURN_IF_ERROR(CountGids(folder, "ops.ndjson", known));
      INDOUBT_RETURN_IF_ERROR(CountGids(folder, "in_doubt.ndjson", known));
    }
  }
  if (known.empty()) {
    return Status(StatusCode::kNotFound,
                  fmt::format("{}: no transaction '{}'; none of this run (cells {}) has a gid",
                              run_folder, gid, fmt::join(cells, ", ")));
  }
  std::vector<std::string> examples(known.begin(), known.end());
  examples.resize(std::min(examples.size(), kExamples));
  return Status(
      StatusCode::kNotFound,
      fmt::format("{}: no transaction '{}'; this run recorded {} gids, for example {}",
                  run_folder, gid, known.size(), fmt::join(examples, ", ")));
}

/// The error of a folder that is no run, with the runs that lie beside it.
Status WithRunsBeside(const Status& error, const std::string& run_folder) {
  std::filesystem::path beside = std::filesystem::path(run_folder).parent_path();
  if (beside.empty()) beside = ".";
  std::vector<std::string> runs;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(beside, failed)) {
    if (!entry.is_symlink() && Exists(entry.path().string() + "/run.json")) {
      runs.push_back(entry.path().filename().string());
    }
  }
  std::sort(runs.rbegin(), runs.rend());  // the latest first
  if (runs.empty()) return error;
  return Status(error.code(), fmt::format("{}; beside it there are {}", error.message(),
                                          fmt::join(runs, ", ")));
}

Result<json> ReadRepJson(const std::string& folder) {
  if (!Exists(folder + "/rep.json")) return json();
  std::ifstream in(folder + "/rep.json");
  json rep = json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (rep.is_discarded()) return Status(StatusCode::kCorrupt, folder + "/rep.json: not JSON");
  return rep;
}

Result<TransactionRecords> Search(const std::string& run_folder, const json& run,
                                  const std::string& gid) {
  for (const json& cell : run.at("cells")) {
    for (const json& rep : cell.at("reps")) {
      TransactionRecords found;
      found.cell = cell.at("name").get<std::string>();
      found.repetition = rep.at("n").get<int>();
      found.folder = run_folder + "/" + rep.at("dir").get<std::string>();
      INDOUBT_ASSIGN_OR_RETURN(const auto operations, LinesOf(found.folder, "ops.ndjson", gid));
      INDOUBT_ASSIGN_OR_RETURN(found.in_doubt, LinesOf(found.folder, "in_doubt.ndjson", gid));
      INDOUBT_ASSIGN_OR_RETURN(found.decisions, LinesOf(found.folder, "decisions.ndjson", gid));
      if (operations.empty() && found.in_doubt.empty() && found.decisions.empty()) continue;
      if (!operations.empty()) found.operation = operations.front();
      found.log_kept = Exists(found.folder + "/decisions.ndjson");
      found.watched = Exists(found.folder + "/in_doubt.ndjson");
      INDOUBT_ASSIGN_OR_RETURN(found.rep, ReadRepJson(found.folder));
      return found;
    }
  }
  return NoSuchGid(run_folder, run, gid);
}

}  // namespace

Result<std::vector<json>> LinesWith(const std::string& folder, const std::string& name,
                                    const std::string& needle) {
  std::vector<json> lines;
  const std::string path = folder + "/" + name;
  std::ifstream in(path);
  std::string text;
  for (int64_t number = 1; std::getline(in, text); ++number) {
    if (text.find(needle) == std::string::npos) continue;
    const bool complete = !in.eof();
    json line = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (line.is_object()) {
      lines.push_back(std::move(line));
    } else if (complete) {
      return Status(StatusCode::kCorrupt,
                    fmt::format("{}:{}: not a JSON object", path, number));
    }
  }
  return lines;
}

Result<TransactionRecords> FindTransaction(const std::string& run_folder,
                                           const std::string& gid) {
  const auto records = ReadRun(run_folder);
  if (!records) {
    return records.status().code() == StatusCode::kNotFound
               ? WithRunsBeside(records.error(), run_folder)
               : records.error();
  }
  try {
    return Search(run_folder, records->run, gid);
  } catch (const json::exception& error) {
    return Status(StatusCode::kCorrupt,
                  run_folder + "/run.json: not as docs/run-format.md says: " + error.what());
  }
}

}  // namespace indoubt
