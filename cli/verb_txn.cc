// indoubt txn: what is in doubt, decided and not applied, or heuristic.
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/duration.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/world.h"

namespace indoubt::cli {
namespace {

struct TxnArguments {
  std::string config, gid, timeout = "5s";
  bool json = false;
};

/// Loads, starts a coordinator that does nothing by itself, and runs `body`.
template <typename Body>
int WithCoordinator(const TxnArguments& arguments, Body body) {
  auto config = LoadConfig(arguments.config);
  if (!config) return Fail(config.error());
  const Duration timeout = ParseDuration(arguments.timeout).value_or(Duration::zero());
  auto coordinator =
      StartCoordinator(*config, {.lock_timeout = timeout, .empty_log = EmptyLog::kLookOnly});
  if (!coordinator) return Fail(coordinator.error());
  return body(**coordinator, SystemClock().Now() + timeout);
}

Json ToJson(const TransactionView& view) {
  return {{"gid", view.gid},
          {"outcome", ToString(view.outcome)},
          {"note", view.note},
          {"participants", cli::ToJson(view.participants)}};
}

std::string Line(const TransactionView& view) {
  std::vector<std::string> participants;
  for (const ParticipantOutcome& participant : view.participants) {
    participants.push_back(fmt::format("{}:{}/{}", participant.name,
                                       participant.vote ? ToString(*participant.vote) : "none",
                                       ToString(participant.ack)));
  }
  return fmt::format("{}  {}  {}  {}", view.gid, ToString(view.outcome),
                     fmt::join(participants, " "), view.note);
}

/// 21 when a participant could not be asked: something unknown may be in doubt there.
int ExitFor(const TransactionList& list) { return list.notices.empty() ? kDone : kInDoubt; }

int List(const TxnArguments& arguments) {
  return WithCoordinator(arguments, [&](Coordinator& coordinator, TimePoint deadline) -> int {
    const auto list = coordinator.List(deadline);
    if (!list) return Fail(list.error());
    for (const std::string& notice : list->notices) Note("indoubt: " + notice);
    Json all = Json::array();
    for (const TransactionView& view : list->transactions) {
      all.push_back(ToJson(view));
      if (!arguments.json) PrintLine(Line(view));
    }
    if (arguments.json) PrintJson({{"transactions", all}, {"notices", list->notices}});
    return ExitFor(*list);
  });
}

int Show(const TxnArguments& arguments) {
  const auto gid = Gid::Parse(arguments.gid);
  if (!gid) return Fail(gid.error());
  return WithCoordinator(arguments, [&](Coordinator& coordinator, TimePoint deadline) -> int {
    const auto list = coordinator.List(deadline);
    if (!list) return Fail(list.error());
    for (const TransactionView& view : list->transactions) {
      if (view.gid != arguments.gid) continue;
      arguments.json ? PrintJson(ToJson(view)) : PrintLine(Line(view));
      return kDone;
    }
    switch (coordinator.Find(*gid)) {
      case LoggedState::kCommitted:
      case LoggedState::kEnded:
        arguments.json ? PrintJson({{"gid", arguments.gid}, {"outcome", "committed"}})
                       : PrintLine(arguments.gid + "  committed  ended everywhere");
        return kDone;
      case LoggedState::kUnknown:
        break;
    }
    if (!list->notices.empty()) {
      for (const std::string& notice : list->notices) Note("indoubt: " + notice);
      Note(fmt::format("indoubt: {}: not in the log, and not every participant could be asked",
                       arguments.gid));
      return kInDoubt;
    }
    return Fail(Status(StatusCode::kNotFound,
                       fmt::format("{}: not prepared anywhere and not in the log: it was "
                                   "rolled back, or ended longer than outcome_retention ago",
                                   arguments.gid)));
  });
}

int Forget(const TxnArguments& arguments) {
  const auto gid = Gid::Parse(arguments.gid);
  if (!gid) return Fail(gid.error());
  return WithCoordinator(arguments, [&](Coordinator& coordinator, TimePoint) -> int {
    const Status status = coordinator.Forget(*gid);
    if (!status.ok()) return Fail(status);
    PrintLine("forgotten " + arguments.gid);
    return kDone;
  });
}

}  // namespace

void AddTxn(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("txn", "Transactions that are not over, or heuristic");
  verb->require_subcommand(1);
  auto arguments = std::make_shared<TxnArguments>();
  const auto add = [&](const char* name, const char* help, bool takes_gid, auto function) {
    CLI::App* part = verb->add_subcommand(name, help);
    if (takes_gid) part->add_option("GID", arguments->gid, "Which transaction")->required();
    part->add_option("-c,--config", arguments->config, "Configuration file")->required();
    AddDuration(*part, "--timeout", arguments->timeout, "For asking the participants")
        ->capture_default_str();
    part->add_flag("--json", arguments->json, "JSON on stdout");
    part->callback([&action, arguments, function] {
      action = [arguments, function] { return function(*arguments); };
    });
  };
  add("list", "In doubt, decided and not applied everywhere, or heuristic", false, List);
  add("show", "One of them, or whether it ended", true, Show);
  add("forget", "Drop a heuristic outcome from the log", true, Forget);
}

}  // namespace indoubt::cli
