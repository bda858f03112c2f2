#include "experiments/stopped_run.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "experiments/given_servers.h"
#include "experiments/lab_stores.h"
#include "experiments/summary/environment_difference.h"
#include "experiments/summary/records.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr auto kLookLimit = std::chrono::milliseconds(100);

Status Refuse(const std::string& folder, const std::string& why) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("{} cannot be resumed: {}", folder, why));
}

Result<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Status(StatusCode::kNotFound, path + ": cannot be read");
  return text.str();
}

std::string DirOf(const json& cell, int n) {
  return fmt::format("cells/{}/rep-{}", cell.at("name").get<std::string>(), n);
}

size_t CountRecorded(const json& run) {
  size_t recorded = 0;
  for (const json& cell : run.at("cells")) {
    for (const json& rep : cell.at("reps")) recorded += rep.at("status") != "interrupted";
  }
  return recorded;
}

Status CheckCells(const std::string& folder, const Scenario& scenario, const json& run) {
  json expected = DescribeCells(CellsOf(scenario));
  json found = run.at("cells");
  for (json* cells : {&expected, &found}) {
    for (json& cell : *cells) cell.erase("reps");
  }
  if (expected == found) return Status::Ok();
  return Refuse(folder, fmt::format("its scenario means other cells to this program; it ran {} "
                                    "and would run {}",
                                    found.dump(), expected.dump()));
}

Status CheckGiven(const std::string& folder, const json& run, const RunOptions& options) {
  const auto was_given = run.at("given").get<std::vector<std::string>>();
  for (const auto& [name, given] : {std::pair("postgres", options.postgres_dsn.has_value()),
                                    std::pair("redis", options.redis_uri.has_value())}) {
    const bool before = std::find(was_given.begin(), was_given.end(), name) != was_given.end();
    if (before == given) continue;
    return Refuse(folder,
                  before ? fmt::format("it ran on a given server; add --{} again", name)
                         : fmt::format("it ran on a private server; leave --{} out", name));
  }
  return Status::Ok();
}

Status CheckAnythingLeft(const std::string& folder, const json& run) {
  const size_t all = run.at("cells").size() * run.at("repeat").get<size_t>();
  const std::string status = run.at("status").get<std::string>();
  const bool ended = status == "done" || status == "failed";
  if (!ended || CountRecorded(run) < all) return Status::Ok();
  return Refuse(folder, fmt::format("all of its {} repetitions are recorded; it is {}, and "
                                    "nothing is left to run",
                                    all, status));
}

Status CheckRecord(const std::string& folder, const json& run, const RunOptions& options) {
  for (const char* key : {"repeat", "given", "version", "scenario_crc32c"}) {
    if (!run.contains(key)) {
      return Refuse(folder, fmt::format("its run.json has no \"{}\"; it was recorded by an "
                                        "older indoubt, which could not resume",
                                        key));
    }
  }
  if (run.at("version") != options.version) {
    return Refuse(folder, fmt::format("it was begun by indoubt {}, and this is {}",
                                      run.at("version").get<std::string>(), options.version));
  }
  INDOUBT_RETURN_IF_ERROR(CheckGiven(folder, run, options));
  return CheckAnythingLeft(folder, run);
}

Result<StoppedRun> Read(const std::string& folder, const RunOptions& options) {
  StoppedRun stopped;
  stopped.folder = folder;
  INDOUBT_ASSIGN_OR_RETURN(RunRecords records, ReadRun(folder));
  stopped.run = std::move(records.run);
  stopped.env = std::move(records.env);
  if (!stopped.env.is_object()) {
    return Refuse(folder, "it has no env.json, and so nothing was measured; start it anew");
  }
  INDOUBT_RETURN_IF_ERROR(CheckRecord(folder, stopped.run, options));
  const std::string path = folder + "/scenario.toml";
  INDOUBT_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  if (ScenarioChecksum(text) != stopped.run.at("scenario_crc32c")) {
    return Refuse(folder, "scenario.toml was changed since it began");
  }
  INDOUBT_ASSIGN_OR_RETURN(stopped.scenario, ParseScenario(text, path));
  INDOUBT_RETURN_IF_ERROR(CheckCells(folder, stopped.scenario, stopped.run));
  return stopped;
}

/// The folders of repetitions that were begun and not run to their end.
std::vector<std::string> HalfRepetitions(const StoppedRun& stopped, const json& cell) {
  std::vector<std::string> dirs;
  for (int n = 1; n <= stopped.run.at("repeat").get<int>(); ++n) {
    const std::string dir = DirOf(cell, n);
    const bool begun = std::filesystem::exists(stopped.folder + "/" + dir);
    if (begun && !IsRecorded(cell, n)) dirs.push_back(dir);
  }
  return dirs;
}

/// "rep-2-stopped-1", the first number that is free.
std::string FreeName(const std::string& run_folder, const std::string& dir) {
  for (int k = 1;; ++k) {
    const std::string name = fmt::format("{}-stopped-{}", dir, k);
    if (!std::filesystem::exists(run_folder + "/" + name)) return name;
  }
}

}  // namespace

Result<std::unique_ptr<RunFolderLock>> RunFolderLock::Take(const std::string& run_folder) {
  const int fd = open(run_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return Status(StatusCode::kNotFound,
                  fmt::format("{}: {}; name the folder of a run", run_folder, strerror(errno)));
  }
  std::unique_ptr<RunFolderLock> lock(new RunFolderLock(fd));
  // Who only looks whether the run goes on (RunGoesOn) holds it for a moment.
  const TimePoint deadline = SystemClock().Now() + kLookLimit;
  bool taken = false;
  while (!(taken = flock(fd, LOCK_EX | LOCK_NB) == 0) && errno == EWOULDBLOCK &&
         SystemClock().Now() < deadline) {
    std::this_thread::sleep_for(kLookLimit / 20);
  }
  if (taken) return lock;
  return Status(errno == EWOULDBLOCK ? StatusCode::kLocked : StatusCode::kIoError,
                errno == EWOULDBLOCK
                    ? run_folder + ": the run is still going on in another process"
                    : fmt::format("{} cannot be locked: {}", run_folder, strerror(errno)));
}

RunFolderLock::~RunFolderLock() { close(fd_); }

json DescribeCells(const std::vector<MatrixCell>& cells) {
  json described = json::array();
  for (const MatrixCell& cell : cells) {
    json params = json::object();
    if (cell.again) params["again"] = true;
    if (cell.clients_vary) params["load.clients"] = cell.clients;
    if (cell.last_resource_varies) params["last_resource"] = cell.last_resource;
    for (const Variation& each : cell.variations) params[each.key] = json::parse(each.value);
    described.push_back({{"name", cell.name},
                         {"path", cell.path},
                         {"params", params},
                         {"reps", json::array()}});
  }
  return described;
}

std::string ScenarioChecksum(const std::string& text) {
  return fmt::format("{:08x}", Crc32c(text));
}

bool IsRecorded(const json& cell, int n) {
  const json& reps = cell.at("reps");
  return std::any_of(reps.begin(), reps.end(), [n](const json& rep) {
    return rep.at("n") == n && rep.at("status") != "interrupted";
  });
}

Result<StoppedRun> ReadStoppedRun(const std::string& folder, const RunOptions& options) {
  std::error_code error;
  const std::string absolute = std::filesystem::canonical(folder, error).string();
  if (error) {
    return Status(StatusCode::kNotFound,
                  fmt::format("{}: {}; name the folder of a run", folder, error.message()));
  }
  try {
    return Read(absolute, options);
  } catch (const json::exception& wrong) {
    return Status(StatusCode::kCorrupt,
                  absolute + "/run.json: not as docs/run-format.md says: " + wrong.what());
  }
}

Status CheckSameEnvironment(const StoppedRun& stopped, const json& here,
                            std::vector<std::string>& warnings) {
  json before = stopped.env;
  // Stopped before its stores were up: any will do.
  if (before.at("versions").at("postgres").is_null()) {
    before["versions"] = here.at("versions");
    before["durability"] = here.at("durability");
  }
  const EnvironmentDifferences found =
      CompareEnvironments(before, "the run began", here, "it was resumed");
  std::vector<std::string> forbidding;
  for (const auto* lines : {&found.machine, &found.versions, &found.durability}) {
    forbidding.insert(forbidding.end(), lines->begin(), lines->end());
  }
  if (!forbidding.empty()) {
    return Refuse(stopped.folder,
                  fmt::format("repetitions from before and from now could not be compared: {} "
                              "(then and now)",
                              fmt::join(forbidding, "; ")));
  }
  AddDifference(before, here, "/git_sha", "the commit", warnings);
  warnings.insert(warnings.end(), found.doubtful.begin(), found.doubtful.end());
  return Status::Ok();
}

Status CheckSameServers(const StoppedRun& stopped, const RunOptions& options) {
  const json then = stopped.run.value("given_servers", json::object());
  INDOUBT_ASSIGN_OR_RETURN(const json now, IdentifyGivenServers(options));
  const std::string other = OtherServer(then, now);
  return other.empty() ? Status::Ok() : Refuse(stopped.folder, other);
}

Status RemoveWhatItLeft(const StoppedRun& stopped) {
  for (const json& cell : stopped.run.at("cells")) {
    for (const std::string& dir : HalfRepetitions(stopped, cell)) {
      INDOUBT_RETURN_IF_ERROR(RemoveLeftStores(stopped.folder + "/" + dir));
    }
  }
  return Status::Ok();
}

Result<std::vector<std::string>> SetAsideHalfRepetitions(StoppedRun& stopped) {
  std::vector<std::string> moved;
  for (json& cell : stopped.run.at("cells")) {
    for (const std::string& dir : HalfRepetitions(stopped, cell)) {
      const std::string name = FreeName(stopped.folder, dir);
      std::error_code error;
      std::filesystem::rename(stopped.folder + "/" + dir, stopped.folder + "/" + name, error);
      if (error) {
        return Status(StatusCode::kIoError, fmt::format("{}/{} cannot be moved aside: {}",
                                                        stopped.folder, dir, error.message()));
      }
      moved.push_back(name);
    }
    json whole = json::array();
    for (const json& rep : cell.at("reps")) {
      if (rep.at("status") != "interrupted") whole.push_back(rep);
    }
    cell["reps"] = std::move(whole);
  }
  return moved;
}

}  // namespace indoubt
