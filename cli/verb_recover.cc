// indoubt recover: one recovery pass, then exit.
#include <memory>

#include <fmt/format.h>

#include "base/duration.h"
#include "cli/output.h"
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

int Recover(const RecoverArguments& arguments) {
  auto config = LoadConfig(arguments.config);
  if (!config) return Fail(config.error());
  const Duration timeout = ParseDuration(arguments.timeout).value_or(Duration::zero());
  std::optional<LogId> adopt;
  if (!arguments.adopt.empty()) {
    auto id = LogId::Parse(arguments.adopt);
    if (!id) return Fail(id.error().WithContext("--adopt"));
    adopt = *id;
  }
  const auto reached = ReachCoordinator(
      *config,
      {.lock_timeout = timeout,
       .empty_log = arguments.accept_empty_log ? EmptyLog::kAccept : EmptyLog::kRefuse});
  if (!reached) return Fail(reached.error());
  const auto report = reached->operations().Recover(SystemClock().Now() + timeout, adopt);
  if (!report) return Fail(report.error());
  for (const std::string& notice : report->notices) Note("indoubt: " + notice);
  if (arguments.json) {
    PrintJson(ToJson(*report));
  } else {
    for (const RecoveredTransaction& transaction : report->transactions) {
      PrintLine(fmt::format("{} {}", ToString(transaction.outcome), transaction.gid));
    }
    PrintLine(fmt::format("{} committed, {} rolled back, {} in doubt, {} heuristic",
                          report->committed, report->rolled_back, report->in_doubt,
                          report->heuristic));
  }
  if (report->heuristic > 0) return kHeuristic;
  // What is away may hold branches that nobody could list.
  return report->in_doubt > 0 || !report->unreachable.empty() ? kInDoubt : kDone;
}

}  // namespace

void AddRecover(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("recover", "One recovery pass, then exit");
  auto arguments = std::make_shared<RecoverArguments>();
  verb->add_option("-c,--config", arguments->config, "Configuration file")->required();
  verb->add_option("--adopt", arguments->adopt,
                   "Also settle branches of this node that another log (LOG-ID) left");
  verb->add_flag(
      "--accept-empty-log", arguments->accept_empty_log,
      "Accept for good a log that has decided nothing, beside branches of this node");
  AddDuration(*verb, "--timeout", arguments->timeout, "For the whole pass")
      ->capture_default_str();
  verb->add_flag("--json", arguments->json, "One JSON object on stdout");
  verb->callback(
      [&action, arguments] { action = [arguments] { return Recover(*arguments); }; });
}

}  // namespace indoubt::cli
