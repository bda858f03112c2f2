#include "tests/support/sync_order.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "recovery/log_format.h"
#include "recovery/log_records.h"

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

constexpr size_t kWalPage = 8192;
constexpr size_t kShortPageHeader = 24, kLongPageHeader = 40;
constexpr size_t kLongHeaderFlag = 2;  // in xlp_info, access/xlog_internal.h

bool IsWal(const TraceEvent& event) {
  return event.path.find("/pg_wal/0") != std::string::npos;
}

uint32_t Read32(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// The WAL without its page headers, as far as it was written. Thread-compatible.
class WalText {
 public:
  /// What a write brought, behind the page before it.
  std::string Add(const TraceEvent& write) {
    const size_t first = write.offset / kWalPage;
    std::string text = first == 0 ? "" : pages_[{write.path, first - 1}];
    for (size_t at = 0; at + kWalPage <= write.bytes.size(); at += kWalPage) {
      const bool is_long = (write.bytes[at + 2] & kLongHeaderFlag) != 0;
      const size_t header = is_long ? kLongPageHeader : kShortPageHeader;
      std::string& page = pages_[{write.path, first + at / kWalPage}];
      page = write.bytes.substr(at + header, kWalPage - header);
      text += page;
    }
    return text;
  }

 private:
  std::map<std::pair<std::string, size_t>, std::string> pages_;
};

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

struct Telling {
  const char* whom;
  const TraceEvent* event;
};

/// Whom the coordinator tells of a commit, each with when it first did.
std::vector<Telling> TellingsOf(const Events& events, const DecidedTransaction& transaction) {
  const auto sent = [&](const std::string& bytes) {
    return First(events, Kind::kSend, [&](const TraceEvent& e) { return Holds(e, bytes); });
  };
  const std::string gid = transaction.sqlite.gid.ToString();
  const std::string outcome = gid + transaction.sqlite.participant + "committed";
  // In a reply of the service the gid is a field: its length stands before it.
  const std::string field = std::string(1, static_cast<char>(gid.size())) + gid;
  return {{"PostgreSQL", sent("COMMIT PREPARED '" + transaction.postgres.ToString())},
          {"Redis", sent(FunctionCall("indoubt_commit", transaction.redis))},
          {"SQLite", First(events, Kind::kWrite,
                           [&](const TraceEvent& event) {
                             return IsSqliteWal(event) && Holds(event, outcome);
                           })},
          {"the client", sent(field)}};
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
                 SqliteTransactionWith(events, row), DecisionOf(events, branch.gid));
  }
  return report;
}

OrderReport CheckDecisions(const Events& events,
                           const std::vector<DecidedTransaction>& transactions) {
  OrderReport report;
  for (const DecidedTransaction& transaction : transactions) {
    const Gid& gid = transaction.sqlite.gid;
    const TraceEvent* first = nullptr;
    std::string whom, missing;
    for (const Telling& telling : TellingsOf(events, transaction)) {
      if (telling.event == nullptr) {
        missing += fmt::format(" {}", telling.whom);
      } else if (first == nullptr || telling.event->began < first->began) {
        first = telling.event;
        whom = telling.whom;
      }
    }
    const std::string promise =
        fmt::format("decision log, commit of {}, first told to {}", gid.ToString(), whom);
    if (missing.empty()) {
      report.Judge(promise, events, DecisionOf(events, gid), first);
    } else {
      report.violations.push_back(fmt::format("{}: never told to{}", promise, missing));
    }
  }
  return report;
}

}  // namespace indoubt::testing
