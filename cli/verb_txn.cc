// indoubt txn: what is in doubt, decided and not applied, or heuristic, and what a person
// decides on it.
#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <unistd.h>

#include "base/duration.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/world.h"

namespace indoubt::cli {
namespace {

struct TxnArguments {
  std::string config, gid, timeout = "5s", reason, adopt;
  bool force = false, json = false;
};

/// Loads, reaches a coordinator (one that does nothing by itself, when it is ours), and
/// runs `body`.
template <typename Body>
int WithOperations(const TxnArguments& arguments, Body body) {
  auto config = LoadConfig(arguments.config);
  if (!config) return Fail(config.error(), arguments.json);
  const Duration timeout = ParseDuration(arguments.timeout).value_or(Duration::zero());
  auto reached =
      ReachCoordinator(*config, {.lock_timeout = timeout, .empty_log = EmptyLog::kLookOnly});
  if (!reached) return Fail(reached.error(), arguments.json);
  return body(reached->operations(), SystemClock().Now() + timeout);
}

/// The same for a verb that takes a GID.
template <typename Body>
int WithGid(const TxnArguments& arguments, Body body) {
  const auto gid = Gid::Parse(arguments.gid);
  if (!gid) return Fail(gid.error(), arguments.json);
  return WithOperations(arguments, [&](Operations& operations, TimePoint deadline) {
    return body(operations, *gid, deadline);
  });
}

OperatorTrace Myself(const TxnArguments& arguments) {
  const uid_t uid = geteuid();
  const passwd* entry = getpwuid(uid);
  char host[256] = "?";
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '?';
  return {fmt::format("{} (uid {}) on {}", entry != nullptr ? entry->pw_name : "?", uid, host),
          arguments.reason,
          {}};
}

const char* OutcomeWord(const TransactionView& view) {
  return view.forgotten ? "forgotten" : ToString(view.outcome);
}

Json ToJson(const TransactionView& view) {
  Json by_hand;
  if (view.operator_decision) {
    const OperatorDecision& decision = *view.operator_decision;
    by_hand = {{"decided", DecisionWord(decision.decided)},
               {"known", DecisionWord(decision.known)},
               {"who", decision.by.who},
               {"at", decision.by.at},
               {"reason", decision.by.reason.empty() ? Json() : Json(decision.by.reason)}};
  }
  return {{"gid", view.gid},
          {"outcome", OutcomeWord(view)},
          {"note", view.note},
          {"participants", cli::ToJson(view.participants)},
          {"operator", std::move(by_hand)}};
}

std::string Line(const TransactionView& view) {
  std::vector<std::string> participants;
  participants.reserve(view.participants.size());
  for (const ParticipantOutcome& participant : view.participants) {
    participants.push_back(fmt::format("{}:{}/{}", participant.name,
                                       participant.vote ? ToString(*participant.vote) : "none",
                                       ToString(participant.ack)));
  }
  return fmt::format("{}  {}  {}  {}", view.gid, OutcomeWord(view),
                     fmt::join(participants, " "), view.note);
}

void NoteAll(const TransactionList& list) {
  for (const std::string& notice : list.notices) Note("indoubt: " + notice);
}

/// 22 when one is heuristic; else 21 when one is in doubt, or when a participant could not be
/// asked: something unknown may be in doubt there.
int ExitFor(const TransactionList& list) {
  const auto any = [&](auto is) {
    return std::any_of(list.transactions.begin(), list.transactions.end(), is);
  };
  if (any([](const auto& view) { return view.outcome == Outcome::kHeuristic; })) {
    return kHeuristic;
  }
  const bool in_doubt = any([](const auto& view) { return view.IsInDoubt(); });
  return in_doubt || !list.notices.empty() ? kInDoubt : kDone;
}

int List(const TxnArguments& arguments) {
  return WithOperations(arguments, [&](Operations& operations, TimePoint deadline) -> int {
    const auto list = operations.List(deadline);
    if (!list) return Fail(list.error(), arguments.json);
    NoteAll(*list);
    Json all = Json::array();
    for (const TransactionView& view : list->transactions) {
      all.push_back(ToJson(view));
      if (!arguments.json) PrintLine(Line(view));
    }
    if (arguments.json) PrintJson({{"transactions", all}, {"notices", list->notices}});
    return ExitFor(*list);
  });
}

/// Prints the one transaction; false, with the reason on stderr, when there is none.
bool PrintOne(const TxnArguments& arguments, const TransactionList& list) {
  if (list.transactions.empty()) {
    NoteAll(list);
    Note(fmt::format("indoubt: {}: not in the log, and not every participant could be asked",
                     arguments.gid));
    return false;
  }
  const TransactionView& view = list.transactions.front();
  arguments.json ? PrintJson(ToJson(view)) : PrintLine(Line(view));
  return true;
}

int Show(const TxnArguments& arguments) {
  return WithGid(arguments, [&](Operations& operations, const Gid& gid, TimePoint deadline) {
    const auto list = operations.Show(gid, deadline);
    if (!list) return Fail(list.error(), arguments.json);
    return PrintOne(arguments, *list) ? kDone : static_cast<int>(kInDoubt);
  });
}

int Resolve(const TxnArguments& arguments, DecisionOutcome decision) {
  ResolveRequest request{{}, decision, Myself(arguments), arguments.force, {}};
  if (!arguments.adopt.empty()) {
    auto id = LogId::Parse(arguments.adopt);
    if (!id) return Fail(id.error().WithContext("--adopt"), arguments.json);
    request.adopt = *id;
  }
  return WithGid(arguments, [&](Operations& operations, const Gid& gid, TimePoint deadline) {
    request.gid = gid;
    const auto list = operations.Resolve(request, deadline);
    if (!list) {
      const int code = Fail(list.error(), arguments.json);
      // The record of the decision may have reached the disk before the log stopped.
      return list.error().code() == StatusCode::kIoError ? static_cast<int>(kInDoubt) : code;
    }
    if (!PrintOne(arguments, *list)) return static_cast<int>(kInDoubt);
    NoteAll(*list);
    return ExitFor(*list);
  });
}

int Forget(const TxnArguments& arguments) {
  return WithGid(arguments, [&](Operations& operations, const Gid& gid, TimePoint) {
    const Status status = operations.Forget(gid, Myself(arguments));
    if (!status.ok()) return Fail(status, arguments.json);
    arguments.json ? PrintJson({{"gid", arguments.gid}, {"forgotten", true}})
                   : PrintLine("forgotten " + arguments.gid);
    return static_cast<int>(kDone);
  });
}

}  // namespace

void AddTxn(Verb program) {
  Verb verb = program.Add("txn", "Transactions that are not over, or heuristic");
  auto arguments = std::make_shared<TxnArguments>();
  const auto add = [&](const char* name, const char* help, bool takes_gid, auto function) {
    Verb part = verb.Add(name, help);
    if (takes_gid) part.Value("GID", arguments->gid, "Which transaction").Required();
    part.Value("-c,--config", arguments->config, "Configuration file").Required();
    part.Duration("--timeout", arguments->timeout, "For asking the participants").ShowDefault();
    part.Flag("--json", arguments->json, "JSON on stdout");
    part.Does([arguments, function] { return function(*arguments); });
    return part;
  };
  add("list", "In doubt, decided and not applied everywhere, or heuristic", false, List);
  add("show", "One of them, or whether it ended", true, Show);
  Verb commit = add(
      "commit", "Commit one in doubt, on your own authority", true,
      [](const TxnArguments& given) { return Resolve(given, DecisionOutcome::kCommitted); });
  Verb rollback =
      add("rollback", "Roll one in doubt back, on your own authority", true,
          [](const TxnArguments& given) { return Resolve(given, DecisionOutcome::kAborted); });
  rollback.Flag("--force", arguments->force, "Although its commit is decided");
  Verb forget =
      add("forget", "Drop a heuristic outcome, or what was decided by hand", true, Forget);
  for (Verb part : {commit, rollback}) {
    part.Value("--adopt", arguments->adopt,
               "It is of this other log (LOG-ID), which is lost for good");
  }
  for (Verb part : {commit, rollback, forget}) {
    part.Value("--reason", arguments->reason, "Why; kept in the log");
  }
}

}  // namespace indoubt::cli
