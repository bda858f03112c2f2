// indoubt exec: one transaction across participants, from the shell.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/duration.h"
#include "cli/exec_request.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/world.h"
#include "coordinator/service.h"

namespace indoubt::cli {
namespace {

struct ExecArguments {
  std::string config, file, server, timeout;
  std::vector<std::string> raw;  // everything after `exec`, as it was given
  bool json = false;
};

/// Whether `word` is an option of exec's, which stands where a statement should.
bool IsOption(const std::string& word) {
  static constexpr std::array<std::string_view, 8> kOptions{
      "--on", "--rows", "--param", "--server", "--timeout", "--json", "--config", "-c"};
  return std::find(kOptions.begin(), kOptions.end(), word.substr(0, word.find('='))) !=
         kOptions.end();
}

/// --rows and --param belong to the --on before them. CLI11 has checked the form of
/// all options; their order, and values such as "[1]" which it would take apart,
/// are read from what was given.
Result<std::vector<AddressedStatement>> StatementsFromArguments(
    const std::vector<std::string>& raw) {
  std::vector<AddressedStatement> statements;
  for (size_t i = 0; i < raw.size(); ++i) {
    std::string option = raw[i];
    std::vector<std::string> values;
    if (const size_t equals = option.find('='); equals != std::string::npos) {
      values.push_back(option.substr(equals + 1));
      option.resize(equals);
    }
    const size_t takes = option == "--on"                            ? 2
                         : option == "--rows" || option == "--param" ? 1
                                                                     : 0;
    if (takes == 0) continue;
    while (values.size() < takes && i + 1 < raw.size()) values.push_back(raw[++i]);
    if (option == "--on" && (values.size() < 2 || IsOption(values[1]))) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("--on {}: no statement follows the name", values[0]));
    }
    if (option == "--on") {
      statements.push_back({values[0], {values[1], {}, {}}});
      continue;
    }
    if (statements.empty()) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("{} belongs after the --on that it is for", option));
    }
    Statement& statement = statements.back().statement;
    if (option == "--param") {
      statement.params.push_back(ParseParam(values[0]));
    } else {
      statement.expect_rows = std::strtoll(values[0].c_str(), nullptr, 10);
    }
  }
  return statements;
}

Result<TransactionRequest> MakeRequest(const ExecArguments& arguments) {
  INDOUBT_ASSIGN_OR_RETURN(auto given, StatementsFromArguments(arguments.raw));
  if (arguments.file.empty() == given.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "exec: give statements either with --on NAME STATEMENT or in one FILE");
  }
  TransactionRequest request;
  request.statements = std::move(given);
  if (!arguments.file.empty()) {
    INDOUBT_ASSIGN_OR_RETURN(request.statements, LoadStatements(arguments.file));
  }
  if (!arguments.timeout.empty()) {
    INDOUBT_ASSIGN_OR_RETURN(request.timeout, ParseDuration(arguments.timeout));
    if (request.timeout.count() == 0) {
      return Status(StatusCode::kInvalidArgument, "--timeout must be above 0s");
    }
    INDOUBT_RETURN_IF_ERROR(CheckTimeout(request.timeout).WithContext("--timeout"));
  }
  return request;
}

TransactionOutcome Await(TransactionExecutor& executor, TransactionRequest request) {
  std::promise<TransactionOutcome> ended;
  executor.Execute(std::move(request), [&ended](TransactionOutcome outcome) {
    ended.set_value(std::move(outcome));
  });
  return ended.get_future().get();
}

void PrintValues(const std::vector<StatementResult>& results) {
  for (const StatementResult& result : results) {
    for (const Value& value : result.values) PrintLine(ToJson(value).dump());
  }
}

int Report(const TransactionOutcome& outcome, bool json) {
  if (json) {
    PrintJson(ToJson(outcome));
  } else {
    // What a rolled-back transaction has counted up to never was.
    if (outcome.outcome != Outcome::kRolledBack) PrintValues(outcome.results);
    PrintLine(fmt::format("{} {}", ToString(outcome.outcome), outcome.gid));
  }
  if (!FinishOutput()) {
    // The exit code is the outcome's all the same: a caller that tries again on another
    // one would do everything twice.
    Note(fmt::format("indoubt: stdout cannot be written; the transaction: {} {}",
                     ToString(outcome.outcome), outcome.gid));
    std::clearerr(stdout);
  }
  for (const std::string& warning : outcome.warnings) Note("indoubt: warning: " + warning);
  if (outcome.outcome != Outcome::kCommitted) {
    Note(fmt::format("indoubt: {}: {}", ToString(outcome.outcome), outcome.reason));
  }
  if (outcome.outcome == Outcome::kInDoubt) {
    Note("indoubt: `indoubt recover` settles it; the stores keep its locks until then");
  }
  for (const ParticipantOutcome& participant : outcome.participants) {
    if (outcome.outcome != Outcome::kRolledBack || participant.ack != AckState::kUnknown) {
      continue;
    }
    Note(
        fmt::format("indoubt: {} has not confirmed the rollback and may keep locks until "
                    "`indoubt recover`",
                    participant.name));
  }
  return ExitCodeFor(outcome);
}

int Exec(const ExecArguments& arguments) {
  auto request = MakeRequest(arguments);
  if (!request) return Fail(request.error());
  if (!arguments.server.empty()) {
    return Report(Await(*ConnectExecutor(arguments.server), std::move(*request)),
                  arguments.json);
  }
  auto config = LoadConfig(arguments.config);
  if (!config) return Fail(config.error());
  const Duration timeout =
      request->timeout.count() > 0 ? request->timeout : config->default_timeout;
  const auto reached = ReachCoordinator(*config, {.lock_timeout = timeout});
  if (!reached) return Fail(reached.error());
  return Report(Await(reached->executor(), std::move(*request)), arguments.json);
}

}  // namespace

void AddExec(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("exec", "One transaction across participants");
  auto arguments = std::make_shared<ExecArguments>();
  verb->add_option("-c,--config", arguments->config, "Configuration file");
  // Checked and shown here; read in their order by StatementsFromArguments.
  auto checked = std::make_shared<std::pair<std::vector<std::string>, std::vector<int64_t>>>();
  verb->add_option("--on", checked->first, "NAME STATEMENT, repeated")
      ->type_size(2)
      ->expected(1, 1000)
      ->take_all()
      ->allow_extra_args(false);
  verb->add_option("--rows", checked->second, "The statement before must touch this many rows")
      ->check(CLI::NonNegativeNumber)
      ->allow_extra_args(false);
  auto params = std::make_shared<std::vector<std::string>>();
  verb->add_option("--param", *params, "Bound parameter of the statement before, in order")
      ->allow_extra_args(false);
  verb->add_option("FILE", arguments->file, "TOML with [[statement]]");
  verb->add_option("--server", arguments->server, "A running `indoubt serve` to hand it to");
  AddDuration(*verb, "--timeout", arguments->timeout, "Until the decision, e.g. 5s");
  verb->add_flag("--json", arguments->json, "One JSON object on stdout");
  verb->callback([&action, arguments, checked, params] {
    arguments->raw = GivenArguments();
    if (arguments->config.empty() && arguments->server.empty()) {
      throw CLI::RequiredError("--config or --server");
    }
    action = [arguments] { return Exec(*arguments); };
  });
}

}  // namespace indoubt::cli
