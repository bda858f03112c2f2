#include "experiments/summary/run_record.h"

#include <functional>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace indoubt {
namespace {

using nlohmann::json;

constexpr int kSchema = 1;
constexpr int kMostRepetitions = 1000;

/// Reads a document field by field and keeps the first that is wrong.
class Fields {
 public:
  explicit Fields(std::string path) : path_(std::move(path)) {}

  /// `document`.`key` under the name `name`; null (and wrong, if it has to be there) when it
  /// is not.
  const json* Need(const json& document, const char* key, const std::string& name) {
    if (document.contains(key)) return &document.at(key);
    Wrong(name, "is missing");
    return nullptr;
  }
  void Text(const json& document, const char* key, const std::string& name) {
    const json* value = Need(document, key, name);
    if (value != nullptr && !value->is_string()) Wrong(name, *value, "must be a string");
  }
  void OneOf(const json& document, const char* key, const std::string& name,
             const std::vector<std::string>& words) {
    const json* value = Need(document, key, name);
    if (value == nullptr) return;
    std::string list;
    for (const std::string& word : words) {
      if (*value == word) return;
      list += (list.empty() ? "" : ", ") + word;
    }
    Wrong(name, *value, "must be one of " + list);
  }
  void Whole(const json& document, const char* key, const std::string& name, int64_t low,
             int64_t high) {
    const json* value = Need(document, key, name);
    if (value == nullptr) return;
    const bool fits = value->is_number_integer() && *value >= low && *value <= high;
    if (!fits)
      Wrong(name, *value, fmt::format("must be a whole number from {} to {}", low, high));
  }
  /// Calls `each` with every element and its name.
  void List(const json& document, const char* key, const std::string& name,
            const std::function<void(const json&, const std::string&)>& each) {
    const json* value = Need(document, key, name);
    if (value == nullptr) return;
    if (!value->is_array()) return Wrong(name, *value, "must be a list");
    for (size_t i = 0; i < value->size(); ++i) {
      each(value->at(i), fmt::format("{}[{}]", name, i));
    }
  }
  void Texts(const json& document, const char* key, const std::string& name) {
    List(document, key, name, [this](const json& each, const std::string& its) {
      if (!each.is_string()) Wrong(its, each, "must be a string");
    });
  }
  bool Object(const json& value, const std::string& name) {
    if (!value.is_object()) Wrong(name, value, "must be an object");
    return value.is_object();
  }
  void Wrong(const std::string& name, const json& value, const std::string& why) {
    Wrong(name, fmt::format("is {}, {}", value.dump().substr(0, 80), why));
  }
  void Wrong(const std::string& name, const std::string& why) {
    if (!status_.ok()) return;
    status_ =
        Status(StatusCode::kCorrupt,
               fmt::format("{}: {}: {}; it is not as docs/run-format.md says: restore the "
                           "file, or run the scenario again",
                           path_, name, why));
  }
  const Status& status() const { return status_; }

 private:
  const std::string path_;
  Status status_;
};

void CheckRepetition(const json& rep, const std::string& name, const std::string& cell,
                     int64_t most, Fields& fields) {
  if (!fields.Object(rep, name)) return;
  fields.Whole(rep, "n", name + ".n", 1, most);
  fields.OneOf(rep, "status", name + ".status", {"done", "failed", "interrupted", "disturbed"});
  fields.Text(rep, "dir", name + ".dir");
  if (!fields.status().ok()) return;
  // Nothing outside of the run's folder is read for one of its repetitions.
  const std::string dir = fmt::format("cells/{}/rep-{}", cell, rep.at("n").get<int64_t>());
  if (rep.at("dir") != dir) fields.Wrong(name + ".dir", rep.at("dir"), "must be " + dir);
}

void CheckCell(const json& cell, const std::string& name, int64_t most, Fields& fields) {
  if (!fields.Object(cell, name)) return;
  fields.Text(cell, "name", name + ".name");
  fields.Text(cell, "path", name + ".path");
  if (cell.contains("params")) fields.Object(cell.at("params"), name + ".params");
  if (!fields.status().ok()) return;
  fields.List(cell, "reps", name + ".reps", [&](const json& rep, const std::string& its) {
    CheckRepetition(rep, its, cell.at("name").get<std::string>(), most, fields);
  });
}

void CheckGivenServers(const json& servers, Fields& fields) {
  if (!fields.Object(servers, "given_servers")) return;
  for (const auto& [name, server] : servers.items()) {
    const std::string its = "given_servers." + name;
    if (!fields.Object(server, its)) continue;
    if (name != "redis") continue;
    for (const char* key : {"address", "run_id"}) fields.Text(server, key, its + "." + key);
  }
}

}  // namespace

Status CheckRunRecord(const json& run, const std::string& path) {
  Fields fields(path);
  fields.Whole(run, "schema", "schema", kSchema, kSchema);
  for (const char* key : {"id", "scenario", "question", "reproduce"}) {
    fields.Text(run, key, key);
  }
  fields.OneOf(run, "status", "status", {"running", "done", "interrupted", "failed"});
  if (const json* seed = fields.Need(run, "seed", "seed");
      seed != nullptr && !seed->is_number_unsigned()) {
    fields.Wrong("seed", *seed, "must be a whole number from 0");
  }
  int64_t most = kMostRepetitions;
  if (run.contains("repeat")) {
    fields.Whole(run, "repeat", "repeat", 1, kMostRepetitions);
    if (fields.status().ok()) most = run.at("repeat").get<int64_t>();
  }
  for (const char* key : {"argv", "warnings"}) fields.Texts(run, key, key);
  if (run.contains("given")) fields.Texts(run, "given", "given");
  if (run.contains("given_servers")) CheckGivenServers(run.at("given_servers"), fields);
  for (const char* key : {"version", "scenario_crc32c"}) {
    if (run.contains(key)) fields.Text(run, key, key);
  }
  fields.List(run, "cells", "cells", [&](const json& cell, const std::string& name) {
    CheckCell(cell, name, most, fields);
  });
  fields.List(run, "expect", "expect", [&](const json& expect, const std::string& name) {
    if (fields.Object(expect, name)) fields.Text(expect, "check", name + ".check");
  });
  return fields.status();
}

bool RunGoesOn(const std::string& run_folder) {
  const int fd = open(run_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return true;
  // Shared: who looks at the same time is not taken for the run.
  const bool free = flock(fd, LOCK_SH | LOCK_NB) == 0;
  close(fd);
  return !free;
}

std::string StatusOfRun(const json& run, const std::string& run_folder) {
  std::string status = run.at("status").get<std::string>();
  return status == "running" && !RunGoesOn(run_folder) ? "interrupted" : status;
}

std::string ResumeCommand(const std::string& status, const std::string& run_folder) {
  return status == "interrupted" ? "indoubt run --resume " + run_folder : "";
}

}  // namespace indoubt
