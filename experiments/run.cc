#include "experiments/run.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/gid.h"
#include "experiments/environment.h"
#include "experiments/given_servers.h"
#include "experiments/lab_stores.h"
#include "experiments/ndjson.h"
#include "experiments/repetition.h"
#include "experiments/stopped_run.h"
#include "experiments/workloads/random.h"
#include "experiments/workloads/shop.h"
#include "experiments/workloads/shop_names.h"
#include "faults/belongings.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr uint64_t kOrderStream = 400;  // of the cells within a repetition

/// "'" around what a shell would take apart.
std::string ShellWord(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_-./=:,@%+") == std::string::npos;
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// Cut off, it says so whatever else happened: it is run again when the run is resumed.
const char* StatusWord(const RepetitionOutcome& outcome) {
  if (outcome.interrupted) return "interrupted";
  if (!outcome.status.ok()) return "failed";
  return outcome.disturbed ? "disturbed" : "done";
}

/// What the scenario breaks must be ours.
Status CheckBreakable(const Scenario& scenario, const RunOptions& options) {
  for (const MatrixCell& cell : CellsOf(scenario)) {
    INDOUBT_ASSIGN_OR_RETURN(const Scenario here, ScenarioOf(scenario, cell));
    for (const FaultPlan& fault : here.faults) {
      const bool given = (fault.store == kAccounts && options.postgres_dsn) ||
                         (fault.store == kStock && options.redis_uri);
      if (!given) continue;
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("the scenario breaks {} ({}), and a given server is not ours to "
                      "break; leave --{} out",
                      fault.store, fault.kind,
                      fault.store == kAccounts ? "postgres" : "redis"));
    }
  }
  return Status::Ok();
}

class ScenarioRun {
 public:
  ScenarioRun(const Scenario& scenario, const RunOptions& options)
      : scenario_(scenario),
        options_(options),
        repeat_(options.repeat.value_or(scenario.repeat)),
        seed_(options.seed.value_or(scenario.seed)),
        cells_(CellsOf(scenario)),
        began_(SystemClock().Now()) {}

  Result<RunResult> Run() {
    INDOUBT_ASSIGN_OR_RETURN(json given, IdentifyGivenServers(options_));
    INDOUBT_RETURN_IF_ERROR(MakeFolder());
    // Until it can be read as a run's, it goes with whatever ends this process.
    AddScratchFolder([this] { return folder_; });
    std::unique_ptr<RunFolderLock> lock;
    const Status begun = Begin(std::move(given), lock);
    if (!begun.ok()) {
      std::error_code ignored;  // what is told is why it is empty
      std::filesystem::remove_all(folder_, ignored);
    }
    ForgetScratchFolder(folder_);
    INDOUBT_RETURN_IF_ERROR(begun);
    LinkLatest();
    if (options_.begun) options_.begun(scenario_, folder_);
    return RunWhatIsMissing();
  }

  /// `here`: the environment as it is now. Its folder is locked by the caller.
  Result<RunResult> Resume(StoppedRun stopped, const json& here,
                           const std::vector<std::string>& doubts) {
    folder_ = stopped.folder;
    id_ = stopped.run.at("id");
    INDOUBT_ASSIGN_OR_RETURN(const auto aside, SetAsideHalfRepetitions(stopped));
    run_ = std::move(stopped.run);
    env_ = std::move(stopped.env);
    for (const char* key : {"versions", "durability"}) {
      if (env_.at(key).at("postgres").is_null()) env_[key] = here.at(key);
    }
    env_complete_ = true;
    CountRecorded();
    RecordResumption(here, aside, doubts);
    INDOUBT_RETURN_IF_ERROR(ReplaceJson(folder_ + "/env.json", env_));
    run_["status"] = "running";
    run_["ended_at"] = nullptr;
    INDOUBT_RETURN_IF_ERROR(Save());
    if (options_.begun) options_.begun(scenario_, folder_);
    return RunWhatIsMissing();
  }

 private:
  Result<RunResult> RunWhatIsMissing() {
    for (int n = 1; n <= repeat_ && !interrupted_; ++n) {
      for (const size_t cell : CellOrder(seed_, n, cells_.size())) {
        if (IsRecorded(run_.at("cells").at(cell), n)) continue;
        interrupted_ = interrupted_ || Stopped();
        if (interrupted_) break;
        INDOUBT_RETURN_IF_ERROR(RunOne(cell, n));
      }
    }
    run_["status"] = interrupted_ ? "interrupted" : failed_ ? "failed" : "done";
    run_["ended_at"] = WallClockNow();
    INDOUBT_RETURN_IF_ERROR(Save());
    return RunResult{folder_, run_["status"], run_["warnings"]};
  }

  void CountRecorded() {
    for (const json& cell : run_.at("cells")) {
      for (const json& rep : cell.at("reps")) {
        ++done_;
        failed_ = failed_ || rep.at("status") == "failed";
      }
    }
  }

  void RecordResumption(const json& here, const std::vector<std::string>& aside,
                        const std::vector<std::string>& doubts) {
    const std::string when = WallClockNow();
    run_["resumed"].push_back({{"at", when},
                               {"git_sha", here.at("git_sha")},
                               {"kept", done_},
                               {"set_aside", aside},
                               {"differences", doubts}});
    std::string warning =
        fmt::format("resumed at {}: {} of {} repetitions were recorded before", when, done_,
                    repeat_ * static_cast<int>(cells_.size()));
    for (const std::string& dir : aside) {
      warning += fmt::format("; {} was cut off, counts for nothing and was run again", dir);
    }
    AddWarning(warning);
    for (const std::string& doubt : doubts) {
      AddWarning(fmt::format("resumed at {}: {} (then and now)", when, doubt));
    }
  }

  bool Stopped() const { return options_.stop != nullptr && options_.stop->load(); }

  Status MakeFolder() {
    const std::string when = fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(std::time(nullptr)));
    id_ = fmt::format("{}-{}-{}", when, scenario_.name, LogId::Random().text().substr(0, 6));
    std::error_code error;
    const std::filesystem::path out = std::filesystem::absolute(options_.out_folder, error);
    std::filesystem::create_directories(out / id_, error);
    if (!error) folder_ = std::filesystem::canonical(out / id_, error).string();
    if (!error) return Status::Ok();
    return Status(StatusCode::kIoError,
                  fmt::format("cannot make {}: {}", (out / id_).string(), error.message()));
  }

  /// All that a run's folder has before anything is measured.
  Status Begin(json given, std::unique_ptr<RunFolderLock>& lock) {
    INDOUBT_ASSIGN_OR_RETURN(lock, RunFolderLock::Take(folder_));
    std::ofstream file(folder_ + "/scenario.toml");
    file << scenario_.resolved;
    file.close();
    if (!file) {
      return Status(StatusCode::kIoError, fmt::format("cannot write {}/scenario.toml: {}",
                                                      folder_, std::strerror(errno)));
    }
    DescribeRun();
    run_["given_servers"] = std::move(given);
    env_ = DescribeMachine(folder_, options_.binary);
    INDOUBT_RETURN_IF_ERROR(ReplaceJson(folder_ + "/env.json", env_));
    return Save();
  }

  void LinkLatest() {
    std::error_code error;
    const std::filesystem::path out = std::filesystem::path(folder_).parent_path();
    const std::filesystem::path link = out / ("." + id_);
    std::filesystem::create_directory_symlink(id_, link, error);
    if (!error) std::filesystem::rename(link, out / "latest", error);
    if (error) AddWarning("runs/latest could not be set: " + error.message());
  }

  void DescribeRun() {
    json expect = json::array();
    for (const std::string& check : scenario_.expect) expect.push_back({{"check", check}});
    std::string reproduce;
    for (const std::string& word : options_.argv) {
      // Who watches changes no result; who breaks something by hand cannot be reproduced.
      if (word == "--live" || word.starts_with("--live=")) continue;
      reproduce += (reproduce.empty() ? "" : " ") + ShellWord(word);
    }
    const bool names_seed =
        std::any_of(options_.argv.begin(), options_.argv.end(),
                    [](const std::string& word) { return word.starts_with("--seed"); });
    if (!names_seed) reproduce += fmt::format(" --seed {}", seed_);
    for (const std::string& warning : scenario_.warnings) AddWarning(warning);
    json warnings = run_.contains("warnings") ? run_["warnings"] : json::array();
    run_ = {{"schema", 1},
            {"id", id_},
            {"scenario", scenario_.name},
            {"question", scenario_.question},
            {"status", "running"},
            {"seed", seed_},
            {"repeat", repeat_},
            {"given", GivenServers()},
            {"version", options_.version},
            {"scenario_crc32c", ScenarioChecksum(scenario_.resolved)},
            {"argv", options_.argv},
            {"reproduce", reproduce},
            {"started_at", WallClockNow()},
            {"ended_at", nullptr},
            {"cells", DescribeCells(cells_)},
            {"expect", expect},
            {"warnings", warnings}};
  }

  json GivenServers() const {
    json given = json::array();
    if (options_.postgres_dsn) given.push_back("postgres");
    if (options_.redis_uri) given.push_back("redis");
    return given;
  }

  void AddWarning(const std::string& warning) {
    if (!run_.contains("warnings")) run_["warnings"] = json::array();
    run_["warnings"].push_back(warning);
  }

  Status Save() { return ReplaceJson(folder_ + "/run.json", run_); }

  Status RunOne(size_t index, int n) {
    RepetitionPlan plan;
    plan.cell = cells_[index];
    plan.n = n;
    plan.seed = seed_ + static_cast<uint64_t>(n);
    const std::string dir = fmt::format("cells/{}/rep-{}", plan.cell.name, n);
    plan.folder = folder_ + "/" + dir;
    std::error_code error;
    std::filesystem::create_directories(plan.folder, error);
    if (error) return Status(StatusCode::kIoError, "cannot make " + plan.folder);
    Status env_written;
    const auto stores_up = [&](const StoreEndpoints& stores) {
      if (env_complete_) return;
      env_written = AddStores(stores, env_);
      if (env_written.ok()) env_written = ReplaceJson(folder_ + "/env.json", env_);
      env_complete_ = true;
    };
    INDOUBT_ASSIGN_OR_RETURN(const Scenario here, ScenarioOf(scenario_, plan.cell));
    const RepetitionOutcome outcome = RunRepetition(
        here, options_, plan, stores_up, [this](RunProgress at) { Note(std::move(at)); });
    ++done_;
    for (const std::string& warning : outcome.warnings) AddWarning(warning);
    if (!env_written.ok()) AddWarning("env.json: " + env_written.message());
    // Cut off, it may have failed for that: it is run again when the run is resumed.
    failed_ = failed_ || (!outcome.status.ok() && !outcome.interrupted);
    interrupted_ = interrupted_ || outcome.interrupted;
    run_["cells"][index]["reps"].push_back(
        {{"n", n},
         {"dir", dir},
         {"status", StatusWord(outcome)},
         {"error", outcome.status.ok() ? json(nullptr) : json(outcome.status.message())}});
    return Save();
  }

  void Note(RunProgress progress) const {
    if (!options_.progress) return;
    progress.reps = repeat_;
    progress.done = done_;
    progress.total = repeat_ * static_cast<int>(cells_.size());
    progress.elapsed_s = std::chrono::duration<double>(SystemClock().Now() - began_).count();
    options_.progress(progress);
  }

  const Scenario& scenario_;
  const RunOptions& options_;
  const int repeat_;
  const uint64_t seed_;
  const std::vector<MatrixCell> cells_;
  const TimePoint began_;
  std::string id_, folder_;
  json run_, env_;
  bool env_complete_ = false;
  bool failed_ = false, interrupted_ = false;
  int done_ = 0;
};

}  // namespace

std::vector<size_t> CellOrder(uint64_t seed, int n, size_t cells) {
  std::vector<size_t> order(cells);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1],
              order[RandomAt(seed, kOrderStream, static_cast<uint64_t>(n) * 1000 + i) % i]);
  }
  return order;
}

namespace {

/// The environment as a run's first repetition finds it, on stores like its own.
Result<json> DescribeHere(const StoppedRun& stopped, const RunOptions& options) {
  json here = DescribeMachine(stopped.folder, options.binary);
  LabStoresOptions like;
  like.postgres_dsn = options.postgres_dsn;
  like.redis_uri = options.redis_uri;
  INDOUBT_ASSIGN_OR_RETURN(const auto stores, LabStores::Start(like));
  INDOUBT_RETURN_IF_ERROR(Shop(stopped.scenario.workload).SetUp(stores->direct()));
  INDOUBT_RETURN_IF_ERROR(AddStores(stores->direct(), here));
  return here;
}

Status CheckGivenServers(const Scenario& scenario, const RunOptions& options) {
  INDOUBT_RETURN_IF_ERROR(CheckBreakable(scenario, options));
  return Shop::CheckDroppable(options.postgres_dsn.value_or(""),
                              options.redis_uri.value_or(""));
}

}  // namespace

Status CheckScenario(const Scenario& scenario, const RunOptions& options) {
  if (options.repeat && *options.repeat < 1) {
    return Status(StatusCode::kInvalidArgument, "--repeat must be at least 1");
  }
  return CheckGivenServers(scenario, options);
}

Status CheckStoppedRun(const std::string& run_folder, const RunOptions& options) {
  INDOUBT_ASSIGN_OR_RETURN(const auto lock, RunFolderLock::Take(run_folder));
  return ReadStoppedRun(run_folder, options).status();
}

Result<RunResult> RunScenario(const Scenario& scenario, const RunOptions& options) {
  INDOUBT_RETURN_IF_ERROR(CheckScenario(scenario, options));
  INDOUBT_ASSIGN_OR_RETURN(const auto hold, GivenServersHold::Take(options));
  return ScenarioRun(scenario, options).Run();
}

Result<RunResult> ResumeRun(const std::string& run_folder, const RunOptions& options) {
  INDOUBT_ASSIGN_OR_RETURN(const auto lock, RunFolderLock::Take(run_folder));
  INDOUBT_ASSIGN_OR_RETURN(StoppedRun stopped, ReadStoppedRun(run_folder, options));
  INDOUBT_RETURN_IF_ERROR(CheckSameServers(stopped, options));
  INDOUBT_ASSIGN_OR_RETURN(const auto hold, GivenServersHold::Take(options));
  INDOUBT_RETURN_IF_ERROR(RemoveWhatItLeft(stopped));
  INDOUBT_RETURN_IF_ERROR(CheckGivenServers(stopped.scenario, options));
  INDOUBT_ASSIGN_OR_RETURN(const json here, DescribeHere(stopped, options));
  std::vector<std::string> doubts;
  INDOUBT_RETURN_IF_ERROR(CheckSameEnvironment(stopped, here, doubts));
  RunOptions as_begun = options;
  as_begun.repeat = stopped.run.at("repeat").get<int>();
  as_begun.seed = stopped.run.at("seed").get<uint64_t>();
  const Scenario scenario = stopped.scenario;
  return ScenarioRun(scenario, as_begun).Resume(std::move(stopped), here, doubts);
}

}  // namespace indoubt
