// indoubt run: runs a scenario and reports on it.
#include <atomic>
#include <charconv>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/run_progress.h"
#include "cli/termination.h"
#include "cli/verbs.h"
#include "experiments/by_hand.h"
#include "experiments/live/live_view.h"
#include "experiments/report/report.h"
#include "experiments/report/run_index.h"
#include "experiments/run.h"
#include "experiments/summary/control.h"
#include "experiments/summary/flips.h"
#include "experiments/summary/judgement.h"
#include "faults/belongings.h"

#ifndef INDOUBT_VERSION
#error "the build defines INDOUBT_VERSION"
#endif

namespace indoubt::cli {
namespace {

struct RunArguments {
  std::string scenario, resume, out = "runs", postgres, redis;
  std::vector<std::string> set;
  int repeat = 0;
  std::optional<uint64_t> seed;
  bool keep = false, json = false, quiet = false;
  std::string live;  // empty: no live page; a port, or "true" for a free one
};

/// 0 for a free one; none: it is no port.
std::optional<uint16_t> PortOf(const std::string& text) {
  if (text == "true") return uint16_t{0};
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && stopped == end ? std::optional(port) : std::nullopt;
}

/// The run's folder, told by one thread and asked for by another.
class RunFolder {
 public:
  void Set(const std::string& folder) {
    const std::lock_guard lock(mutex_);
    folder_ = folder;
  }
  std::string Get() const {
    const std::lock_guard lock(mutex_);
    return folder_;
  }

 private:
  mutable std::mutex mutex_;
  std::string folder_;  // guarded by mutex_; empty: there is none yet
};

void EndAtOnce(const RunFolder& run) {
  TakeEverythingAway();
  const std::string folder = run.Get();
  Note(folder.empty() ? "indoubt: ended at once; nothing was recorded"
                      : "indoubt: ended at once; what was recorded before stays; to complete "
                        "it: indoubt run --resume " +
                            folder);
}

/// Sets `stop` at the first SIGINT or SIGTERM; the second ends the process, and what it has
/// started and made with it.
class StopOnSignal {
 public:
  /// The second one may come when all else is over: what it needs is shared with it.
  StopOnSignal(std::atomic<bool>& stop, const std::shared_ptr<const RunFolder>& run)
      : thread_([this, &stop, run] {
          const auto at_once = [run] { EndAtOnce(*run); };
          if (!AwaitTermination([this] { return over_.load(); }, at_once)) return;
          stop = true;
          if (TerminalWidth()) Note("");  // a progress line may be under the cursor
          Note(
              "indoubt: interrupted: heals, compares and saves what there is; once more ends "
              "at once");
        }) {}
  ~StopOnSignal() {
    over_ = true;
    thread_.join();
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/// The command line as a run records it. Reports are passed on: where the stores are,
/// and with what password, is nobody's business there.
std::vector<std::string> RecordedArguments() {
  std::vector<std::string> recorded{"indoubt"};
  for (const std::string& word : GivenArguments()) {
    const std::string& before = recorded.back();
    const size_t equals = word.find('=');
    const std::string option = word.substr(0, equals);
    const bool names_store = option == "--postgres" || option == "--redis";
    if (before == "--postgres" || before == "--redis") {
      recorded.emplace_back(before == "--postgres" ? "DSN" : "URI");
    } else if (names_store && equals != std::string::npos) {
      recorded.push_back(option + (option == "--postgres" ? "=DSN" : "=URI"));
    } else {
      recorded.push_back(word);
    }
  }
  return recorded;
}

/// The page of a run that is shown while it goes on, and the hand that acts there.
struct Live {
  ByHand hand;
  std::unique_ptr<LiveView> view;

  /// Before anything of the run starts.
  Status Start(const std::string& port) {
    INDOUBT_ASSIGN_OR_RETURN(view, LiveView::Start(PortOf(port).value_or(0), hand));
    Note("indoubt: live page: " + view->url());
    return Status::Ok();
  }
  void Show(RunOptions& options) {
    options.by_hand = &hand;
    options.begun = [this](const Scenario& scenario, const std::string& folder) {
      view->Begun(scenario, folder);
    };
    options.progress = [this, lines = options.progress](const RunProgress& at) {
      lines(at);
      view->Progress(at);
    };
  }
  void End(const std::string& sentence, const std::string& report) {
    if (!view) return;
    view->Ended(sentence, report);
    if (view->left_out() == 0) return;
    Note(fmt::format("indoubt: the live page: browsers were too slow for {} samples",
                     view->left_out()));
  }
};

RunOptions ToOptions(const RunArguments& arguments, const std::atomic<bool>& stop) {
  RunOptions options;
  options.out_folder = arguments.out;
  options.binary = std::filesystem::read_symlink("/proc/self/exe");
  options.version = INDOUBT_VERSION;
  options.argv = RecordedArguments();
  if (arguments.repeat > 0) options.repeat = arguments.repeat;
  options.seed = arguments.seed;
  if (!arguments.postgres.empty()) options.postgres_dsn = arguments.postgres;
  if (!arguments.redis.empty()) options.redis_uri = arguments.redis;
  options.keep = arguments.keep;
  options.progress = ProgressLines(arguments.quiet, TerminalWidth());
  options.stop = &stop;
  return options;
}

int Tell(const RunResult& result, const Json& summary, bool json) {
  const RunJudgement judgement = Judge(summary);
  if (json) {
    PrintJson(summary);
  } else {
    PrintLine(VerdictText(summary));
    for (const auto& expected : summary.value("expect", Json::array())) {
      PrintLine(fmt::format("{:7} {} (observed {})", expected["verdict"].get<std::string>(),
                            expected["check"].get<std::string>(), expected["observed"].dump()));
    }
    for (const std::string& sentence : ControlSentences(summary)) {
      PrintLine("control: " + sentence);
    }
    for (const std::string& sentence : FlipSentences(summary)) {
      PrintLine("this flips if: " + sentence);
    }
    PrintLine("report: " + result.folder + "/report.html");
  }
  for (const std::string& reason : judgement.reasons) Note("indoubt: " + reason);
  if (result.status == "interrupted") {
    Note("indoubt: to complete it: indoubt run --resume " + result.folder);
  }
  return result.status == "interrupted" ? static_cast<int>(kInterrupted)
                                        : judgement.exit_code();
}

/// The scenario as it is to be run; none of a run that is resumed, which has its own.
Result<std::optional<Scenario>> ScenarioOf(const RunArguments& arguments) {
  if (!arguments.resume.empty()) return std::optional<Scenario>();
  // So that the run's scenario.toml says what was run.
  std::vector<std::string> set = arguments.set;
  if (arguments.repeat > 0) set.push_back(fmt::format("stats.repeat={}", arguments.repeat));
  const bool as_toml = arguments.seed && *arguments.seed <= INT64_MAX;
  if (as_toml) set.push_back(fmt::format("stats.seed={}", *arguments.seed));
  INDOUBT_ASSIGN_OR_RETURN(Scenario scenario, LoadScenario(arguments.scenario, set));
  return std::optional(std::move(scenario));
}

/// What is wrong with what is asked for, before anything is started for it.
Status CheckAskedFor(const std::optional<Scenario>& scenario, const RunArguments& arguments,
                     const RunOptions& options) {
  return scenario ? CheckScenario(*scenario, options)
                  : CheckStoppedRun(arguments.resume, options);
}

/// The last sentence of the verdict: whether it holds.
std::string Closing(const Json& summary) {
  const std::string text = VerdictText(summary);
  return text.substr(text.rfind('\n') + 1);
}

int Run(const RunArguments& arguments) {
  if (arguments.scenario.empty() && arguments.resume.empty()) {
    return Fail(Status(StatusCode::kInvalidArgument,
                       "run: name a SCENARIO (indoubt list scenarios), or --resume RUN"),
                arguments.json);
  }
  BlockTermination();
  std::atomic<bool> stop{false};
  const auto folder = std::make_shared<RunFolder>();
  const StopOnSignal watcher(stop, folder);
  const auto scenario = ScenarioOf(arguments);
  if (!scenario) return Fail(scenario.error(), arguments.json);
  RunOptions options = ToOptions(arguments, stop);
  const Status checked = CheckAskedFor(*scenario, arguments, options);
  if (!checked.ok()) return Fail(checked, arguments.json);
  Live live;
  if (!arguments.live.empty()) {
    const Status started = live.Start(arguments.live);
    if (!started.ok()) return Fail(started, arguments.json);
    live.Show(options);
  }
  options.begun = [folder, shown = options.begun](const Scenario& begun,
                                                  const std::string& path) {
    folder->Set(path);
    if (shown) shown(begun, path);
  };
  const auto result =
      *scenario ? RunScenario(**scenario, options) : ResumeRun(arguments.resume, options);
  if (!result) {
    live.End("The run ended early: " + result.error().message(), "");
    return Fail(result.error(), arguments.json);
  }
  for (const std::string& warning : result->warnings) Note("indoubt: warning: " + warning);
  const auto summary = WriteReports(result->folder);
  if (!summary) {
    live.End("There is no report: " + summary.error().message(), "");
    return Fail(summary.error(), arguments.json);
  }
  const std::string runs = std::filesystem::path(result->folder).parent_path().string();
  const bool begun_there = arguments.resume.empty();  // a stopped run may have been moved
  const Status indexed = begun_there || IsRunsFolder(runs) ? WriteRunIndex(runs) : Status::Ok();
  if (!indexed.ok()) Note("indoubt: warning: " + indexed.message());
  live.End(fmt::format("The run is {}. {}", result->status, Closing(*summary)),
           result->folder + "/report.html");
  return Tell(*result, *summary, arguments.json);
}

}  // namespace

void AddRun(Verb program) {
  Verb verb = program.Add("run", "Run a scenario and report on it");
  auto arguments = std::make_shared<RunArguments>();
  const Option scenario =
      verb.Value("SCENARIO", arguments->scenario, "A name (list scenarios) or a file");
  const Option set =
      verb.Value("--set", arguments->set, "KEY=VALUE, over the scenario's own; repeated")
          .OneValueEach();
  const Option repeat =
      verb.Value("--repeat", arguments->repeat, "Repetitions of each cell").Between(1, 1000);
  const Option seed = verb.Value("--seed", arguments->seed, "Of schedule and workload")
                          .Check([](const std::string& text) {
                            return text.starts_with("-") ? "must be 0 or more" : std::string();
                          });
  const Option out = verb.Value("--out", arguments->out, "Folder of the runs").ShowDefault();
  Option resume = verb.Value("--resume", arguments->resume,
                             "Folder of a stopped run, to complete it as it was begun");
  for (const Option& of_the_run : {scenario, set, repeat, seed, out}) {
    resume.Excludes(of_the_run);
  }
  verb.Value("--postgres", arguments->postgres,
             "DSN of a running server; tables of an earlier run are dropped");
  verb.Value("--redis", arguments->redis,
             "URI of a running server; keys of an earlier run are dropped");
  verb.Flag("--keep", arguments->keep, "Keep the stores' data folders");
  verb.FlagOrValue("--live", arguments->live,
                   "Show the run in a browser, at 127.0.0.1 and --live=PORT or a free port, "
                   "where processes can be killed by hand; the address is on stderr")
      .Check([](const std::string& port) {
        return PortOf(port) ? std::string() : "a port is a number from 0 to 65535";
      });
  verb.Flag("--json", arguments->json, "The summary as JSON on stdout");
  verb.Flag("--quiet", arguments->quiet, "No progress on stderr");
  verb.Does([arguments] { return Run(*arguments); });
}

}  // namespace indoubt::cli
