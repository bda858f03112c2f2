// indoubt recover: one recovery pass, then exit.
#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "base/duration.h"
#include "cli/output.h"
#include "cli/termination.h"
#include "cli/verbs.h"
#include "cli/world.h"

namespace indoubt::cli {
namespace {

struct RecoverArguments {
  std::string config, adopt, timeout = "30s";
  bool accept_empty_log = false, json = false;
};

Json ToJson(const RecoveryReport& report) {
  Json transactions = Json::array();
  for (const RecoveredTransaction& transaction : report.transactions) {
    transactions.push_back({{"gid", transaction.gid},
                            {"outcome", ToString(transaction.outcome)},
                            {"participants", cli::ToJson(transaction.participants)}});
  }
  return {{"committed", report.committed},    {"rolled_back", report.rolled_back},
          {"in_doubt", report.in_doubt},      {"heuristic", report.heuristic},
          {"transactions", transactions},     {"notices", report.notices},
          {"unreachable", report.unreachable}};
}

int Print(const RecoveryReport& report, bool json) {
  for (const std::string& notice : report.notices) Note("indoubt: " + notice);
  if (json) {
    PrintJson(ToJson(report));
  } else {
    for (const RecoveredTransaction& transaction : report.transactions) {
      PrintLine(fmt::format("{} {}", ToString(transaction.outcome), transaction.gid));
    }
    PrintLine(fmt::format("{} committed, {} rolled back, {} in doubt, {} heuristic",
                          report.committed, report.rolled_back, report.in_doubt,
                          report.heuristic));
  }
  if (report.heuristic > 0) return kHeuristic;
  // What is away may hold branches that nobody could list.
  return report.in_doubt > 0 || !report.unreachable.empty() ? kInDoubt : kDone;
}

/// None when a signal came first.
std::optional<Result<RecoveryReport>> RunPass(const Result<Reached>& reached,
                                              TimePoint deadline,
                                              const std::optional<LogId>& adopt,
                                              const Interruption& interruption) {
  if (!reached) return std::nullopt;
  auto report = std::make_shared<std::optional<Result<RecoveryReport>>>();
  std::thread pass([&reached, report, deadline, adopt, interruption] {
    auto ended = reached->operations().Recover(deadline, adopt);
    interruption.Do([&] { *report = std::move(ended); });
  });
  const bool done = interruption.Await([&] { return report->has_value(); }, TimePoint::max(),
                                       /*or_interrupted=*/true);
  if (!done) {
    pass.detach();  // the process ends before it
    return std::nullopt;
  }
  pass.join();
  return std::move(*report);
}

int Recover(const RecoverArguments& arguments) {
  auto config = LoadConfig(arguments.config);
  if (!config) return Fail(config.error(), arguments.json);
  const Duration timeout = ParseDuration(arguments.timeout).value_or(Duration::zero());
  std::optional<LogId> adopt;
  if (!arguments.adopt.empty()) {
    auto id = LogId::Parse(arguments.adopt);
    if (!id) return Fail(id.error().WithContext("--adopt"), arguments.json);
    adopt = *id;
  }
  const Interruption interruption;
  const TimePoint began = SystemClock().Now();
  const auto reached = ReachCoordinator(
      *config, {.lock_timeout = timeout,
                .interruption = &interruption,
                .empty_log = arguments.accept_empty_log ? EmptyLog::kAccept : EmptyLog::kRefuse,
                .start_patience = timeout / 4,
                .check_at_start = false});  // the pass begins with that
  if (!reached && !interruption.happened()) return Fail(reached.error(), arguments.json);
  // The wait for the log counts, but the pass has half of the time in any case.
  const TimePoint deadline = std::max(began + timeout, SystemClock().Now() + timeout / 2);
  const auto report = RunPass(reached, deadline, adopt, interruption);
  if (!report) {
    Note(
        "indoubt: interrupted: what recovery has not settled stays in doubt; run it again, "
        "which does nothing twice");
    if (arguments.json) PrintError("interrupted", "interrupted before recovery had ended");
    FinishOutput();
    _exit(kInterrupted);  // what is under way would be waited for
  }
  if (!*report) return Fail(report->error(), arguments.json);
  return Print(**report, arguments.json);
}

}  // namespace

void AddRecover(Verb program) {
  Verb verb = program.Add("recover", "One recovery pass, then exit");
  auto arguments = std::make_shared<RecoverArguments>();
  verb.Value("-c,--config", arguments->config, "Configuration file").Required();
  verb.Value("--adopt", arguments->adopt,
             "Also settle branches of this node that another log (LOG-ID) left");
  verb.Flag("--accept-empty-log", arguments->accept_empty_log,
            "Accept for good a log that has decided nothing, beside branches of this node");
  verb.Duration("--timeout", arguments->timeout, "For the whole pass").ShowDefault();
  verb.Flag("--json", arguments->json, "One JSON object on stdout");
  verb.Does([arguments] { return Recover(*arguments); });
}

}  // namespace indoubt::cli
