// indoubt exec: one transaction across participants, from the shell.
#include <cstdio>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include "base/duration.h"
#include "cdc/worker.h"
#include "cli/exec_request.h"
#include "cli/output.h"
#include "cli/termination.h"
#include "cli/verbs.h"
#include "cli/world.h"
#include "coordinator/service.h"

namespace indoubt::cli {
namespace {

struct ExecArguments {
  std::string config, file, server, timeout, id, answer_when;
  std::vector<std::string> raw;  // everything after `exec`, as it was given
  bool json = false;
};

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
  INDOUBT_RETURN_IF_ERROR(CheckRequestId(arguments.id).WithContext("--id"));
  request.request_id = arguments.id;
  if (arguments.answer_when == "decided") request.answer_when = AnswerWhen::kDecided;
  if (arguments.answer_when == "applied") request.answer_when = AnswerWhen::kApplied;
  request.announce_gid = true;
  return request;
}

/// What is known of the transaction so far; guarded by Interruption::Do.
struct Progress {
  std::string gid;
  std::optional<TransactionOutcome> outcome;
};

/// How long an interrupted transaction may take to reach its outcome: in this process, or
/// at a server, which goes on with it anyway.
constexpr Duration kDrain = std::chrono::seconds(5);
constexpr Duration kServerDrain = std::chrono::seconds(1);

/// How long the derived path's source may take to say how far its log is.
constexpr Duration kTokenPatience = std::chrono::seconds(2);

/// Runs `request`. Interrupted, it is aborted where that is still possible, and what is
/// under way is waited for, not for long. `own`: the coordinator, when it is this process'.
Progress Run(TransactionExecutor& executor, Coordinator* own, TransactionRequest request,
             const Interruption& interruption) {
  auto progress = std::make_shared<Progress>();
  request.before_prepare = [progress, interruption](const std::string& gid) {
    interruption.Do([&] { progress->gid = gid; });
    return Status::Ok();
  };
  const auto done = [progress] { return progress->outcome.has_value(); };
  executor.Execute(std::move(request), [progress, interruption](TransactionOutcome outcome) {
    interruption.Do([&] { progress->outcome = std::move(outcome); });
  });
  if (!interruption.Await(done, TimePoint::max(), /*or_interrupted=*/true)) {
    Note("indoubt: interrupted; what is under way is finished or rolled back first");
    if (own != nullptr) own->GiveUp("interrupted");
    const Duration patience = own != nullptr ? kDrain : kServerDrain;
    interruption.Await(done, SystemClock().Now() + patience, /*or_interrupted=*/false);
  }
  Progress now;
  interruption.Do([&] { now = *progress; });
  return now;
}

void PrintValues(const std::vector<StatementResult>& results) {
  for (const StatementResult& result : results) {
    for (const Value& value : result.values) PrintJson(ToJson(value));
  }
}

/// What a person does about `outcome`, which is in doubt.
std::string HowItIsSettled(const TransactionOutcome& outcome) {
  // One-phase: asked to commit by itself, without a vote and without a record.
  const bool alone = outcome.participants.size() == 1 && !outcome.participants[0].vote &&
                     outcome.participants[0].ack == AckState::kUnknown;
  if (!alone) {
    return "indoubt: `indoubt recover` settles it; the stores keep its locks until then";
  }
  return fmt::format(
      "indoubt: {} was the only participant and committed by itself, so only it can tell: "
      "look there before you do it again; with --id it would have a record of its own",
      outcome.participants[0].name);
}

/// What a reader of a derived view waits for to see this transaction; none when there is no
/// derived path, or its source has not committed anything of it yet.
std::optional<Lsn> TokenOf(const Config& config, const TransactionOutcome& outcome) {
  if (!config.cdc || outcome.outcome != Outcome::kCommitted) return std::nullopt;
  for (const ParticipantOutcome& participant : outcome.participants) {
    if (participant.name != config.cdc->source || participant.ack != AckState::kCommitted) {
      continue;
    }
    for (const ParticipantOptions& options : config.participants) {
      if (NameOf(options) != config.cdc->source) continue;
      const auto flushed = ReadSourceFlushLsn(std::get<PostgresOptions>(options).dsn,
                                              SystemClock().Now() + kTokenPatience);
      if (flushed) return *flushed;
      Note("indoubt: committed, but its LSN is not known: " + flushed.error().message());
    }
  }
  return std::nullopt;
}

int Report(const TransactionOutcome& outcome, bool json, const std::optional<Lsn>& token) {
  if (json) {
    Json object = ToJson(outcome);
    if (token) object["lsn"] = token->ToString();
    PrintJson(object);
  } else {
    // What a rolled-back transaction has counted up to never was.
    if (outcome.outcome != Outcome::kRolledBack) PrintValues(outcome.results);
    PrintLine(fmt::format("{}{}{}", ToString(outcome.outcome), outcome.gid.empty() ? "" : " ",
                          outcome.gid));
  }
  if (!FinishOutput()) {
    // The exit code is the outcome's all the same: a caller that tries again on another
    // one would do everything twice.
    Note(fmt::format("indoubt: stdout cannot be written; the transaction: {} {}",
                     ToString(outcome.outcome), outcome.gid));
    std::clearerr(stdout);
  }
  if (outcome.asked_before) {
    Note(
        "indoubt: this request id was asked with before: this is how that transaction "
        "ended, and nothing of this request has run");
  }
  for (const std::string& warning : outcome.warnings) Note("indoubt: warning: " + warning);
  if (outcome.outcome != Outcome::kCommitted) {
    Note(fmt::format("indoubt: {}: {}", ToString(outcome.outcome), outcome.reason));
  }
  if (outcome.outcome == Outcome::kInDoubt) {
    Note(HowItIsSettled(outcome));
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

/// Of a transaction that has no outcome yet. Does not return: whoever is still at it would
/// be waited for.
[[noreturn]] void LeaveUnfinished(const ExecArguments& arguments, const std::string& gid,
                                  bool served) {
  TransactionOutcome outcome;
  outcome.gid = gid;
  outcome.reason = "interrupted before its outcome was known";
  outcome.code = StatusCode::kDeadlineExceeded;
  if (arguments.json) PrintJson(ToJson(outcome));
  const std::string name = gid.empty() ? "the transaction" : "transaction " + gid;
  const std::string again =
      arguments.id.empty() ? "" : ", or exec again with --id " + arguments.id;
  Note(served ? fmt::format(
                    "indoubt: interrupted: {} goes on at the server; `indoubt txn list` and "
                    "`txn show GID` tell what becomes of it{}",
                    name, again)
              : fmt::format(
                    "indoubt: interrupted: {} is in doubt; `indoubt recover -c {}` settles "
                    "it{}",
                    name, arguments.config, again));
  FinishOutput();
  _exit(kInterrupted);
}

int ReportProgress(const ExecArguments& arguments, const Progress& progress,
                   const Interruption& interruption, bool served, const Config& config) {
  if (!progress.outcome) LeaveUnfinished(arguments, progress.gid, served);
  const std::optional<Lsn> token =
      arguments.json ? TokenOf(config, *progress.outcome) : std::nullopt;
  const int code = Report(*progress.outcome, arguments.json, token);
  // A commit, or a heuristic outcome, says more than that somebody was impatient.
  const bool settled = progress.outcome->outcome == Outcome::kCommitted ||
                       progress.outcome->outcome == Outcome::kHeuristic;
  return interruption.happened() && !settled ? static_cast<int>(kInterrupted) : code;
}

int Exec(const ExecArguments& arguments) {
  auto request = MakeRequest(arguments);
  if (!request) return Fail(request.error(), arguments.json);
  const Interruption interruption;
  if (!arguments.server.empty()) {
    const auto client = ConnectExecutor(
        arguments.server, request->timeout.count() > 0 ? request->timeout : kConnectLimit);
    const Progress progress = Run(*client, nullptr, std::move(*request), interruption);
    return ReportProgress(arguments, progress, interruption, /*served=*/true, Config{});
  }
  auto config = LoadConfig(arguments.config);
  if (!config) return Fail(config.error(), arguments.json);
  const Duration timeout =
      request->timeout.count() > 0 ? request->timeout : config->default_timeout;
  const auto reached =
      ReachCoordinator(*config, {.lock_timeout = timeout, .interruption = &interruption});
  if (interruption.happened()) {
    Note("indoubt: interrupted before the transaction began; nothing was written anywhere");
    if (arguments.json) PrintError("interrupted", "interrupted before the transaction began");
    return kInterrupted;
  }
  if (!reached) return Fail(reached.error(), arguments.json);
  const bool decided = request->answer_when == AnswerWhen::kDecided;
  const Progress progress =
      Run(reached->executor(), reached->own(), std::move(*request), interruption);
  const int code =
      ReportProgress(arguments, progress, interruption, reached->served() != nullptr, *config);
  // Told early, and applied by nobody else once this process has ended.
  if (decided && reached->own() != nullptr) reached->own()->Drain(SystemClock().Now() + kDrain);
  return code;
}

}  // namespace

void AddExec(Verb program) {
  Verb verb = program.Add("exec", "One transaction across participants");
  auto arguments = std::make_shared<ExecArguments>();
  const Option config = verb.Value("-c,--config", arguments->config, "Configuration file");
  // Checked and shown here; read in their order by StatementsFromArguments.
  auto checked = std::make_shared<std::pair<std::vector<std::string>, std::vector<int64_t>>>();
  verb.Value("--on", checked->first, "NAME STATEMENT, repeated").TwoValuesEach();
  verb.Value("--rows", checked->second, "The statement before must touch this many rows")
      .Check([](const std::string& text) {
        const bool digits = !text.empty() && text.size() <= 18 &&
                            text.find_first_not_of("0123456789") == std::string::npos;
        return digits ? std::string() : "must be a count of rows, e.g. 1";
      })
      .OneValueEach();
  auto params = std::make_shared<std::vector<std::string>>();
  verb.Value("--param", *params, "Bound parameter of the statement before, in order")
      .OneValueEach();
  verb.Value("FILE", arguments->file, "TOML with [[statement]]");
  const Option server =
      verb.Value("--server", arguments->server, "A running `indoubt serve` to hand it to");
  verb.RequireEither(config, server);
  verb.Duration("--timeout", arguments->timeout, "Until the decision, e.g. 5s");
  verb.Value(
      "--id", arguments->id,
      "Names the request: asked again by the same name it is not done twice, and another "
      "one by that name is refused");
  verb.Value("--return", arguments->answer_when,
             "Whether a commit is told once it is applied everywhere, or decided")
      .OneOf({"applied", "decided"});
  verb.Flag("--json", arguments->json, "One JSON object on stdout");
  verb.Does([arguments, checked, params] {
    arguments->raw = GivenArguments();
    return Exec(*arguments);
  });
}

}  // namespace indoubt::cli
