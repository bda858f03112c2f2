// indoubt cdc audit: the source's stream as an independent record of what was decided.
#include <map>
#include <set>

#include <fmt/format.h>

#include "cdc/log/sqlite_event_log.h"
#include "cli/audit.h"
#include "cli/cdc_verbs.h"
#include "cli/output.h"
#include "participants/postgres/decision_reading.h"
#include "recovery/read_decisions.h"

namespace indoubt::cli {
namespace {

constexpr Duration kPatience = std::chrono::seconds(30);

/// All that is needed to say what was decided on a gid. The stream is read first, then the
/// rows, then the log: what the stream has as committed was decided before, and a row goes
/// only when the log has the end.
struct Sources {
  StreamRecord stream;
  FoundDecisions rows;
  std::optional<LoggedDecisions> log;
  std::map<Gid, std::string> heuristics;
};

std::vector<Gid> GidsWithHome(const StreamRecord& stream) {
  std::set<Gid> gids;
  for (const StreamOutcome& entry : stream.outcomes) {
    const auto branch = BranchId::Parse(entry.gid);
    if (branch && !branch->gid.home.empty()) gids.insert(branch->gid);
  }
  return {gids.begin(), gids.end()};
}

const PostgresOptions* LastResourceOf(const Config& config) {
  for (const ParticipantOptions& participant : config.participants) {
    const auto* postgres = std::get_if<PostgresOptions>(&participant);
    if (postgres != nullptr && postgres->last_resource) return postgres;
  }
  return nullptr;
}

Result<Sources> Collect(const CdcVerbConfig& loaded) {
  Sources sources;
  INDOUBT_ASSIGN_OR_RETURN(sources.stream, ReadStreamRecord(loaded.options.event_log_path));
  const std::vector<Gid> gids = GidsWithHome(sources.stream);
  const PostgresOptions* last = LastResourceOf(loaded.config);
  if (!gids.empty() && last != nullptr) {
    auto rows = ReadDecisionRows(last->dsn, gids, SystemClock().Now() + kPatience);
    if (!rows) return rows.error().WithContext("participants." + last->name);
    sources.rows = std::move(*rows);
  }
  auto read = LoggedDecisions::Read(PosixFileSystem(), loaded.config.log_path,
                                    loaded.config.outcome_retention);
  if (!read && read.error().code() == StatusCode::kNotFound) {
    return read.error().WithContext(
        "there is no decision log to hold the stream against: [log] path names that of the "
        "coordinator, which makes it when it starts");
  }
  if (!read) return read.error();
  LoggedDecisions log = std::move(*read);
  for (const HeuristicRecord& record : log.Heuristics()) {
    sources.heuristics[record.gid] = record.participant + ": " + record.reason;
  }
  sources.log.emplace(std::move(log));
  return sources;
}

KnownDecision DecisionOn(const Sources& sources, const Gid& gid) {
  const LoggedDecisions& log = *sources.log;
  if (gid.log != log.id()) {
    return {DecisionOutcome::kUnknown,
            fmt::format("it belongs to another decision log, {}", gid.log.text())};
  }
  const auto heuristic = sources.heuristics.find(gid);
  std::string note = heuristic == sources.heuristics.end()
                         ? ""
                         : "recorded as heuristic: " + heuristic->second;
  if (log.Find(gid) != LoggedState::kUnknown) {
    return {DecisionOutcome::kCommitted, std::move(note)};
  }
  if (log.IsForgotten(gid)) {
    return {DecisionOutcome::kUnknown, "it ended longer than outcome_retention ago"};
  }
  if (gid.home.empty()) return {DecisionOutcome::kAborted, std::move(note)};
  if (gid.home != sources.rows.home) {
    return {DecisionOutcome::kUnknown,
            fmt::format("it was decided in decision table {}, which is not that of a last "
                        "resource of this configuration",
                        gid.home.view())};
  }
  const auto row = sources.rows.outcomes.find(gid);
  return {row == sources.rows.outcomes.end() ? DecisionOutcome::kAborted : row->second,
          std::move(note)};
}

const char* WordOf(StreamOutcome::Kind kind) {
  switch (kind) {
    case StreamOutcome::Kind::kCommitted:
      return "committed";
    case StreamOutcome::Kind::kRolledBack:
      return "rolled_back";
    case StreamOutcome::Kind::kPrepared:
      return "prepared";
  }
  return "?";
}

// Nothing decided yet is no abort yet, as long as the branch is prepared.
std::string Decided(const AuditedBranch& branch) {
  const bool open = branch.stream == StreamOutcome::Kind::kPrepared &&
                    branch.decided.outcome == DecisionOutcome::kAborted;
  return open ? "undecided" : DecisionWord(branch.decided.outcome);
}

// What ended before was removed with the log's events: nobody judges it any more.
std::string SinceWhen(const StreamRecord& stream) {
  return stream.from.value == 0 ? "" : fmt::format("from {} ", stream.from.ToString());
}

Json ToJson(const std::vector<AuditedBranch>& branches) {
  Json list = Json::array();
  for (const AuditedBranch& branch : branches) {
    list.push_back(
        {{"gid", branch.gid},
         {"branch", branch.branch},
         {"stream", WordOf(branch.stream)},
         {"lsn", branch.lsn.ToString()},
         {"decided", Decided(branch)},
         {"note", branch.decided.note.empty() ? Json() : Json(branch.decided.note)}});
  }
  return list;
}

void PrintAll(const char* what, const std::vector<AuditedBranch>& branches) {
  for (const AuditedBranch& branch : branches) {
    PrintLine(fmt::format("{}  {}  stream: {} at {}, decided: {}  {}", what, branch.gid,
                          WordOf(branch.stream), branch.lsn.ToString(), Decided(branch),
                          branch.decided.note));
  }
}

}  // namespace

int AuditCdc(const std::string& config, bool json) {
  const auto loaded = LoadCdcConfig(config);
  if (!loaded) return Fail(loaded.error(), json);
  const auto sources = Collect(*loaded);
  if (!sources) return FailCdc(sources.error(), json);
  const Audit audit = CompareWithStream(
      sources->stream.outcomes, [&](const Gid& gid) { return DecisionOn(*sources, gid); });
  if (json) {
    PrintJson({{"from", sources->stream.from.ToString()},
               {"complete", sources->stream.complete.ToString()},
               {"agreed", audit.agreed},
               {"disagreements", ToJson(audit.disagreements)},
               {"undecided", ToJson(audit.undecided)},
               {"not_judged", ToJson(audit.not_judged)},
               {"foreign", audit.foreign}});
  } else {
    PrintAll("DISAGREES", audit.disagreements);
    PrintAll("undecided", audit.undecided);
    PrintAll("not judged", audit.not_judged);
    PrintLine(
        fmt::format("{} agree, {} disagree, {} undecided, {} not judged, {} of other "
                    "programs; the stream {}up to {}",
                    audit.agreed, audit.disagreements.size(), audit.undecided.size(),
                    audit.not_judged.size(), audit.foreign, SinceWhen(sources->stream),
                    sources->stream.complete.ToString()));
  }
  if (audit.disagreements.empty()) return kDone;
  for (const AuditedBranch& branch : audit.disagreements) {
    Note(fmt::format("indoubt: {}: the source says {}, decided was: {}", branch.gid,
                     WordOf(branch.stream), Decided(branch)));
  }
  return kCorrectnessViolated;
}

}  // namespace indoubt::cli
