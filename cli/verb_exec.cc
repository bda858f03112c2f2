// indoubt exec: one transaction across participants, from the shell.
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
  std::vector<std::string> on;  // pairs: participant, text
  std::vector<int64_t> rows;
  std::vector<std::string> params;
  std::vector<std::string> order;  // "on", "rows", "param", as they were given
  bool json = false;
};

/// --rows and --param belong to the --on before them.
Result<std::vector<AddressedStatement>> StatementsFromArguments(
    const ExecArguments& arguments) {
  std::vector<AddressedStatement> statements;
  size_t on = 0, rows = 0, param = 0;
  for (const std::string& option : arguments.order) {
    if (option == "on") {
      statements.push_back({arguments.on[on], {arguments.on[on + 1], {}, {}}});
      on += 2;
      continue;
    }
    if (statements.empty()) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("--{} belongs after the --on that it is for", option));
    }
    Statement& statement = statements.back().statement;
    if (option == "param") {
      statement.params.push_back(ParseParam(arguments.params[param++]));
    } else {
      statement.expect_rows = arguments.rows[rows++];
    }
  }
  return statements;
}

Result<TransactionRequest> MakeRequest(const ExecArguments& arguments) {
  if (arguments.file.empty() == arguments.on.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "exec: give statements either with --on NAME STATEMENT or in one FILE");
  }
  TransactionRequest request;
  auto statements = arguments.file.empty() ? StatementsFromArguments(arguments)
                                           : LoadStatements(arguments.file);
  if (!statements) return statements.error();
  request.statements = std::move(*statements);
  if (!arguments.timeout.empty()) {
    INDOUBT_ASSIGN_OR_RETURN(request.timeout, ParseDuration(arguments.timeout));
    if (request.timeout.count() == 0) {
      return Status(StatusCode::kInvalidArgument, "--timeout must be above 0s");
    }
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

int Report(const TransactionOutcome& outcome, bool json) {
  if (json) {
    PrintJson(ToJson(outcome));
  } else {
    for (const StatementResult& result : outcome.results) {
      for (const Value& value : result.values) PrintLine(ToJson(value).dump());
    }
    PrintLine(fmt::format("{} {}", ToString(outcome.outcome), outcome.gid));
  }
  for (const std::string& warning : outcome.warnings) Note("indoubt: warning: " + warning);
  if (outcome.outcome != Outcome::kCommitted) {
    Note(fmt::format("indoubt: {}: {}", ToString(outcome.outcome), outcome.reason));
  }
  if (outcome.outcome == Outcome::kInDoubt) {
    Note("indoubt: `indoubt recover` settles it; the stores keep its locks until then");
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
  auto coordinator = StartCoordinator(*config, {.lock_timeout = timeout});
  if (!coordinator) return Fail(coordinator.error());
  return Report(Await(**coordinator, std::move(*request)), arguments.json);
}

}  // namespace

void AddExec(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("exec", "One transaction across participants");
  auto arguments = std::make_shared<ExecArguments>();
  verb->add_option("-c,--config", arguments->config, "Configuration file");
  auto* on = verb->add_option("--on", arguments->on, "NAME STATEMENT, repeated")
                 ->type_size(2)
                 ->expected(1, 1000)
                 ->take_all()
                 ->allow_extra_args(false);
  auto* rows = verb->add_option("--rows", arguments->rows,
                                "The statement before must touch this many rows")
                   ->check(CLI::NonNegativeNumber)
                   ->allow_extra_args(false);
  auto* param = verb->add_option("--param", arguments->params,
                                 "Bound parameter of the statement before, in order")
                    ->allow_extra_args(false);
  verb->add_option("FILE", arguments->file, "TOML with [[statement]]");
  verb->add_option("--server", arguments->server, "A running `indoubt serve` to hand it to");
  AddDuration(*verb, "--timeout", arguments->timeout, "Until the decision, e.g. 5s");
  verb->add_flag("--json", arguments->json, "One JSON object on stdout");
  verb->callback([&action, arguments, verb, on, rows, param] {
    for (const CLI::Option* option : verb->parse_order()) {
      if (option == on) arguments->order.emplace_back("on");
      if (option == rows) arguments->order.emplace_back("rows");
      if (option == param) arguments->order.emplace_back("param");
    }
    if (arguments->config.empty() && arguments->server.empty()) {
      throw CLI::RequiredError("--config or --server");
    }
    action = [arguments] { return Exec(*arguments); };
  });
}

}  // namespace indoubt::cli
