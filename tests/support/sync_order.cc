#include "tests/support/sync_order.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "recovery/log_format.h"
#include "recovery/log_records.h"
#include "tests/support/postgres_wal.h"

namespace indoubt::testing {
namespace {

using Events = std::vector<TraceEvent>;
using Kind = TraceEvent::Kind;

bool Holds(const TraceEvent& event, const std::string& bytes) {
  return event.bytes.find(bytes) != std::string::npos;
}

template <typename Predicate>
const TraceEvent* First(const Events& events, Kind kind, Predicate predicate) {
  const auto found = std::find_if(events.begin(), events.end(), [&](const TraceEvent& event) {
    return event.kind == kind && predicate(event);
  });
  return found == events.end() ? nullptr : &*found;
}

/// The first thing that is sent over the socket of `request` once it had arrived.
const TraceEvent* ReplyTo(const Events& events, const TraceEvent* request,
                          const std::string& containing) {
  if (request == nullptr) return nullptr;
  return First(events, Kind::kSend, [&](const TraceEvent& event) {
    return event.path == request->path && event.began > request->ended &&
           Holds(event, containing);
  });
}

// Redis -----------------------------------------------------------------------------

std::string BulkString(const std::string& text) {
  return fmt::format("${}\r\n{}\r\n", text.size(), text);
}

std::string FunctionCall(const std::string& function, const BranchId& branch) {
  return BulkString(function) + BulkString("0") + BulkString(branch.ToString());
}

// PostgreSQL ------------------------------------------------------------------------

uint32_t Read32(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// Whether the text has the whole state of the prepared branch: its header (the magic,
/// the length) stands before the gid (access/transam/twophase.c).
bool HoldsPreparedState(const std::string& text, const std::string& gid) {
  static const std::string kMagic = "\x34\x45\xf9\x57";
  const size_t at = text.find(gid);
  if (at == std::string::npos) return false;
  const size_t header = text.rfind(kMagic, at);
  if (header == std::string::npos || at - header > 256) return false;
  constexpr size_t kChecksum = 4;  // counted in the length, not in the WAL
  return text.size() >= header + Read32(text, header + kMagic.size()) - kChecksum;
}

const TraceEvent* PreparedInWal(const Events& events, const BranchId& branch) {
  WalText wal;
  return First(events, Kind::kWrite, [&](const TraceEvent& event) {
    return IsWal(event) && HoldsPreparedState(wal.Add(event), branch.ToString());
  });
}

// The last resource -----------------------------------------------------------------

/// Whether a script's end is a COMMIT.
bool HoldsCommit(const TraceEvent& event) { return Holds(event, std::string("\0COMMIT\0", 8)); }

/// Work, decision row and COMMIT in one script: as the coordinator sends it, or as
/// PostgreSQL receives it.
const TraceEvent* DecidingScript(const Events& events, Kind kind, const Gid& gid) {
  return First(events, kind, [&](const TraceEvent& event) {
    return Holds(event, gid.ToString()) && HoldsCommit(event);
  });
}

/// CommandComplete: its length and the command's tag.
const std::string kCommitted(
    "C\0\0\0\x0b"
    "COMMIT\0",
    12);

/// What tells the coordinator that the script's COMMIT was done.
const TraceEvent* AnswerTo(const Events& events, const TraceEvent* script) {
  if (script == nullptr) return nullptr;
  return First(events, Kind::kReceive, [&](const TraceEvent& event) {
    return event.path == script->path && event.began > script->ended &&
           Holds(event, kCommitted);
  });
}

const TraceEvent* DecisionRowInWal(const Events& events, const Gid& gid) {
  WalText wal;
  return First(events, Kind::kWrite, [&](const TraceEvent& event) {
    return IsWal(event) && wal.Add(event).find(gid.ToString()) != std::string::npos;
  });
}

// SQLite ----------------------------------------------------------------------------

constexpr size_t kFrameHeader = 24;  // sqlite.org/fileformat2.html#walformat

bool IsSqliteWal(const TraceEvent& event) { return event.path.ends_with("-wal"); }

bool IsCommitFrameHeader(const TraceEvent& event) {
  // Bytes 4 to 7, the size of the database after the commit, are zero otherwise.
  return event.bytes.size() == kFrameHeader && Read32(event.bytes, 4) != 0;
}

/// The write that ends the SQLite transaction which first wrote `row`.
const TraceEvent* SqliteTransactionWith(const Events& events, const std::string& row) {
  const TraceEvent* staged = First(events, Kind::kWrite, [&](const TraceEvent& event) {
    return IsSqliteWal(event) && Holds(event, row);
  });
  if (staged == nullptr) return nullptr;
  const TraceEvent* commit = First(events, Kind::kWrite, [&](const TraceEvent& event) {
    return event.path == staged->path && IsCommitFrameHeader(event) &&
           event.offset + kFrameHeader >= staged->offset;
  });
  if (commit == nullptr) return nullptr;
  return First(events, Kind::kWrite, [&](const TraceEvent& event) {
    return event.path == staged->path && event.began > commit->ended &&
           event.offset == commit->offset + kFrameHeader;
  });
}

// The decision log ------------------------------------------------------------------

/// The gids that a group of the log commits; none when the bytes are no group.
std::vector<Gid> DecisionsIn(const std::string& bytes) {
  log_format::Frame frame;
  if (!bytes.starts_with("IDTG") || bytes.size() < 2 * log_format::kFrameBytes) return {};
  frame.payload_bytes = Read32(bytes, 4);
  std::memcpy(&frame.first_sequence, bytes.data() + 8, sizeof frame.first_sequence);
  frame.records = Read32(bytes, 16);
  std::vector<log_format::RawRecord> records;
  const std::string payload = bytes.substr(log_format::kFrameBytes, frame.payload_bytes);
  if (log_format::DecodeRecords(frame, payload, records)) return {};
  std::vector<Gid> decided;
  for (const log_format::RawRecord& raw : records) {
    const auto record = DecodeLogRecord(raw.body);
    const auto* decision = record ? std::get_if<Decision>(&*record) : nullptr;
    if (decision != nullptr) decided.push_back(decision->gid);
  }
  return decided;
}

const TraceEvent* DecisionOf(const Events& events, const Gid& gid) {
  return First(events, Kind::kWrite, [&](const TraceEvent& event) {
    const std::vector<Gid> decided = DecisionsIn(event.bytes);
    return std::find(decided.begin(), decided.end(), gid) != decided.end();
  });
}

/// Where the decision leaves the coordinator's hands: into the log, or to a last resource.
const TraceEvent* DecidedBy(const Events& events, const Gid& gid) {
  return gid.home.empty() ? DecisionOf(events, gid) : DecidingScript(events, Kind::kSend, gid);
}

struct Telling {
  const char* whom;
  const TraceEvent* event;
};

/// Whom the coordinator tells of a commit, each with when it first did. A last resource
/// knows.
std::vector<Telling> TellingsOf(const Events& events, const DecidedTransaction& transaction) {
  const auto sent = [&](const std::string& bytes) {
    return First(events, Kind::kSend, [&](const TraceEvent& e) { return Holds(e, bytes); });
  };
  const std::string gid = transaction.sqlite.gid.ToString();
  const std::string outcome = gid + transaction.sqlite.participant + "committed";
  // In a reply of the service the gid is a field: its length stands before it. (So it does
  // in a last resource's script.)
  const std::string field = std::string(1, static_cast<char>(gid.size())) + gid;
  std::vector<Telling> tellings{
      {"Redis", sent(FunctionCall("indoubt_commit", transaction.redis))},
      {"SQLite", First(events, Kind::kWrite,
                       [&](const TraceEvent& event) {
                         return IsSqliteWal(event) && Holds(event, outcome);
                       })},
      {"the client", First(events, Kind::kSend, [&](const TraceEvent& event) {
         return Holds(event, field) && !HoldsCommit(event);
       })}};
  if (transaction.sqlite.gid.home.empty()) {
    tellings.push_back(
        {"PostgreSQL", sent("COMMIT PREPARED '" + transaction.postgres.ToString())});
  }
  return tellings;
}

struct FirstTold {
  std::string whom;
  const TraceEvent* event = nullptr;
  std::string missing;  // who was never told
};

FirstTold WhoIsToldFirst(const Events& events, const DecidedTransaction& transaction) {
  FirstTold first;
  for (const Telling& telling : TellingsOf(events, transaction)) {
    if (telling.event == nullptr) {
      first.missing += fmt::format(" {}", telling.whom);
    } else if (first.event == nullptr || telling.event->began < first.event->began) {
      first.event = telling.event;
      first.whom = telling.whom;
    }
  }
  return first;
}

}  // namespace

void OrderReport::Judge(const std::string& promise, const Events& events,
                        const TraceEvent* written, const TraceEvent* told) {
  if (written == nullptr || told == nullptr) {
    violations.push_back(
        fmt::format("{}: {} in the trace", promise,
                    written == nullptr ? "no write of it is" : "nobody is told of it"));
    return;
  }
  const TraceEvent* sync = First(events, Kind::kSync, [&](const TraceEvent& event) {
    return event.path == written->path && event.began > written->ended;
  });
  const bool in_time = sync != nullptr && sync->ended < told->began;
  const std::string synced =
      sync == nullptr ? "never" : fmt::format("lines {} to {}", sync->began, sync->ended);
  (in_time ? held : violations)
      .push_back(fmt::format("{}: written by line {}, synced {}, told from line {}", promise,
                             written->ended, synced, told->began));
}

OrderReport CheckRedisVotes(const Events& events, const std::vector<BranchId>& branches) {
  OrderReport report;
  for (const BranchId& branch : branches) {
    const TraceEvent* call = First(events, Kind::kReceive, [&](const TraceEvent& event) {
      return Holds(event, FunctionCall("indoubt_prepare", branch));
    });
    const std::string intent = BulkString("indoubt:prepared") + BulkString(branch.ToString());
    const TraceEvent* written = First(events, Kind::kWrite, [&](const TraceEvent& event) {
      return event.path.ends_with(".aof") && Holds(event, intent);
    });
    report.Judge("Redis, yes of " + branch.ToString(), events, written,
                 ReplyTo(events, call, "yes"));
  }
  return report;
}

OrderReport CheckPostgresVotes(const Events& events, const std::vector<BranchId>& branches) {
  static const std::string kTag("PREPARE TRANSACTION\0", 20);
  OrderReport report;
  for (const BranchId& branch : branches) {
    const TraceEvent* call = First(events, Kind::kReceive, [&](const TraceEvent& event) {
      return Holds(event, "PREPARE TRANSACTION '" + branch.ToString() + "'");
    });
    report.Judge("PostgreSQL, yes of " + branch.ToString(), events,
                 PreparedInWal(events, branch), ReplyTo(events, call, kTag));
  }
  return report;
}

OrderReport CheckSqliteVotes(const Events& events, const std::vector<BranchId>& branches) {
  OrderReport report;
  for (const BranchId& branch : branches) {
    const std::string row = branch.gid.ToString() + branch.participant;
    report.Judge("SQLite, yes of " + branch.ToString(), events,
                 SqliteTransactionWith(events, row), DecidedBy(events, branch.gid));
  }
  return report;
}

OrderReport CheckDecisions(const Events& events,
                           const std::vector<DecidedTransaction>& transactions) {
  OrderReport report;
  for (const DecidedTransaction& transaction : transactions) {
    const Gid& gid = transaction.sqlite.gid;
    const FirstTold first = WhoIsToldFirst(events, transaction);
    const std::string promise =
        fmt::format("decision log, commit of {}, first told to {}", gid.ToString(), first.whom);
    if (first.missing.empty()) {
      report.Judge(promise, events, DecisionOf(events, gid), first.event);
    } else {
      report.violations.push_back(fmt::format("{}: never told to{}", promise, first.missing));
    }
  }
  return report;
}

OrderReport CheckDecisionRows(const Events& events, const std::vector<BranchId>& branches) {
  OrderReport report;
  for (const BranchId& branch : branches) {
    const TraceEvent* call = DecidingScript(events, Kind::kReceive, branch.gid);
    report.Judge("PostgreSQL, decision row of " + branch.ToString(), events,
                 DecisionRowInWal(events, branch.gid), ReplyTo(events, call, kCommitted));
  }
  return report;
}

OrderReport CheckLastResourceDecisions(const Events& events,
                                       const std::vector<DecidedTransaction>& transactions) {
  OrderReport report;
  for (const DecidedTransaction& transaction : transactions) {
    const Gid& gid = transaction.sqlite.gid;
    const FirstTold first = WhoIsToldFirst(events, transaction);
    const TraceEvent* answer = AnswerTo(events, DecidingScript(events, Kind::kSend, gid));
    const std::string promise = fmt::format("last resource, commit of {}, first told to {}",
                                            gid.ToString(), first.whom);
    if (answer == nullptr || !first.missing.empty()) {
      report.violations.push_back(
          fmt::format("{}: {}", promise,
                      answer == nullptr ? "its commit is not acknowledged in the trace"
                                        : "never told to" + first.missing));
      continue;
    }
    const bool in_time = answer->ended < first.event->began;
    (in_time ? report.held : report.violations)
        .push_back(fmt::format("{}: acknowledged by line {}, told from line {}", promise,
                               answer->ended, first.event->began));
  }
  return report;
}

}  // namespace indoubt::testing
