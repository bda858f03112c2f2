#include "cdc/source/source_history.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <fmt/format.h>

namespace indoubt::cdc_internal {
namespace {

// A look at the log's last stretch makes the source decode it once more: from its slot's
// restart_lsn, which a long transaction holds back.
constexpr std::chrono::hours kDecodeWithin{1};
// What the server ended that much before the deadline, it ended for it.
constexpr std::chrono::milliseconds kServersClock{50};
// More commits than this beyond the log's last event are not needed to say that there are some.
constexpr int kMostCommits = 1000;

constexpr const char* kBeginAnew =
    "set on_slot_loss = \"snapshot\" and start again, or remove the event log and the views' "
    "data and drop the slot";

template <typename Number>
Result<Number> ParseNumber(const std::optional<std::string>& text, int base = 10) {
  const std::string digits = text.value_or("");
  Number number = 0;
  const char* end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, number, base);
  if (error == std::errc() && at == end && !digits.empty()) return number;
  return Status(StatusCode::kInternal,
                "cdc source: the server sent no number where one belongs");
}

// What could not be read says nothing of the slot, as these codes would.
Status NoVerdict(const Status& error) {
  const bool verdict =
      error.code() == StatusCode::kCorrupt || error.code() == StatusCode::kNotFound;
  return verdict ? Status(StatusCode::kIoError, error.message()) : error;
}

// Where the timeline `from` ends in the history file of another; none: it is not in it. Source:
// PostgreSQL's documentation, "Timelines": a line each, "<timeline> <LSN> <reason>".
std::optional<Lsn> EndOfTimeline(const std::string& history, uint32_t from) {
  std::istringstream lines(history);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    uint32_t timeline = 0;
    std::string end;
    if (!(fields >> timeline >> end) || timeline != from) continue;
    const auto lsn = Lsn::Parse(end);
    if (lsn) return *lsn;
  }
  return std::nullopt;
}

Status CheckTimeline(const SlotOptions& options, uint32_t before, uint32_t now, Lsn complete,
                     const StopSignal& stop, TimePoint deadline) {
  if (before == 0 || now == 0 || before == now) return Status::Ok();
  std::optional<Lsn> end;
  if (now > before) {
    INDOUBT_ASSIGN_OR_RETURN(auto walsender,
                             PgConnection::Connect(options.dsn, true, stop, deadline));
    const Result<PgRows> rows =
        walsender->Query(fmt::format("TIMELINE_HISTORY {}", now), deadline);
    if (!rows) return NoVerdict(rows.error());
    if (!rows->empty() && (*rows)[0].size() > 1) {
      end = EndOfTimeline((*rows)[0][1].value_or(""), before);
    }
  }
  if (end && complete <= *end) return Status::Ok();  // a promotion behind all that the log has
  return Status(
      StatusCode::kCorrupt,
      fmt::format("the source is on timeline {}, which {}, and the event log has timeline {} "
                  "up to {}: it was restored to a point before that, or promoted from a "
                  "standby that was behind, and what the log has may not be there; {}",
                  now,
                  end ? fmt::format("left timeline {} at {}", before, end->ToString())
                      : fmt::format("does not come from timeline {}", before),
                  before, complete.ToString(), kBeginAnew));
}

struct Commit {
  Lsn end;
  int64_t micros = 0;
  bool in_two_phases = false;  // a COMMIT PREPARED
};

// The commits that the slot would send, from that of `from` up to `to`. Decodes and does not
// move the slot.
Result<std::vector<Commit>> PeekCommits(PgConnection& connection, const SlotOptions& options,
                                        const SlotFacts& slot, Lsn from, Lsn to,
                                        TimePoint deadline) {
  // Of a Commit ('C') and a Commit Prepared ('K'), PostgreSQL's documentation, 55.9: kind and
  // flags are a byte each, then LSN, end LSN and time.
  const std::string publications =
      connection.Literal(connection.Identifier(options.publication));
  // The server ends it too, else it would read the slot on when nobody waits any more.
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SystemClock().Now());
  INDOUBT_RETURN_IF_ERROR(
      connection
          .Query(fmt::format("SET statement_timeout = {}", std::max<int64_t>(left.count(), 1)),
                 deadline)
          .status());
  const Result<PgRows> peeked = connection.Query(
      fmt::format(
          "SELECT encode(substr(data, 11, 8), 'hex'), encode(substr(data, 19, 8), 'hex'), "
          "get_byte(data, 0) = 75 FROM pg_logical_slot_peek_binary_changes({}, '{}', NULL, "
          "{}, 'publication_names', {}) WHERE get_byte(data, 0) IN (67, 75) AND "
          "substr(data, 11, 8) BETWEEN '\\x{:016x}' AND '\\x{:016x}' LIMIT {}",
          connection.Literal(options.slot), to.ToString(),
          slot.two_phase ? "'proto_version', '3', 'two_phase', 'on'" : "'proto_version', '1'",
          publications, from.value, to.value, kMostCommits),
      deadline);
  if (!peeked) {
    const bool late = SystemClock().Now() + kServersClock >= deadline;
    return late ? Status(StatusCode::kDeadlineExceeded, peeked.error().message())
                : peeked.error();
  }
  std::vector<Commit> commits;
  for (const auto& row : *peeked) {
    Commit& commit = commits.emplace_back();
    INDOUBT_ASSIGN_OR_RETURN(commit.end.value, ParseNumber<uint64_t>(row[0], 16));
    INDOUBT_ASSIGN_OR_RETURN(const auto micros, ParseNumber<uint64_t>(row[1], 16));
    commit.micros = static_cast<int64_t>(micros);
    commit.in_two_phases = row[2] == "t";
  }
  return commits;
}

Status AnotherHistory(const LogHistory& log, const std::string& differs) {
  return Status(
      StatusCode::kCorrupt,
      fmt::format("the source holds something else than the event log before the log's end "
                  "{} ({}): it was restored from an older backup and has written on since; {}",
                  log.complete.ToString(), differs, kBeginAnew));
}

// The slot sends what follows on `confirmed` once more: if that is what the log has, the
// source's history is the log's. Records are only ever added behind each other, so the last
// event speaks for all before it.
Status CompareLastStretch(const std::vector<Commit>& commits, Lsn confirmed,
                          const LogHistory& log) {
  bool last_found = log.last.lsn <= confirmed;
  for (const Commit& commit : commits) {
    if (commit.end == log.last.lsn) {
      if (commit.micros != log.last_micros) {
        return AnotherHistory(
            log, fmt::format("another transaction committed at {}", commit.end.ToString()));
      }
      last_found = true;
      continue;
    }
    bool known = false;
    if (commit.in_two_phases) {
      const Result<bool> ended = log.has_outcome(commit.end);
      if (!ended) return NoVerdict(ended.error());
      known = *ended;
    }
    if (!known) {
      return AnotherHistory(log, fmt::format("a transaction committed at {}, of which the log "
                                             "knows nothing",
                                             commit.end.ToString()));
    }
  }
  if (last_found) return Status::Ok();
  return AnotherHistory(log,
                        fmt::format("no transaction committed at {}, as one has in the log",
                                    log.last.lsn.ToString()));
}

Result<LogHistory> HistoryOf(EventLog& log) {
  LogHistory history;
  INDOUBT_ASSIGN_OR_RETURN(const auto progress, log.ReadSnapshotProgress());
  if (progress) history.source = progress->source();
  const LogEnd end = log.end();
  history.last = end.last;
  history.complete = end.complete;
  history.has_outcome = [&log](Lsn lsn) { return log.HasOutcome(lsn); };
  if (end.last == EventPosition{}) return history;
  INDOUBT_ASSIGN_OR_RETURN(const auto reader, log.NewReader());
  INDOUBT_ASSIGN_OR_RETURN(const auto events, reader->Read(JustBefore(end.last), 1, 1));
  if (!events.empty()) history.last_micros = events.front().transaction->commit_micros();
  return history;
}

Result<LogHistory> HistoryOf(LogGlance& log) {
  LogHistory history;
  INDOUBT_ASSIGN_OR_RETURN(const auto progress, log.Progress());
  history.source = progress.source();
  history.last = log.end().last;
  history.complete = log.end().complete;
  history.has_outcome = [&log](Lsn lsn) { return log.HasOutcome(lsn); };
  if (history.last == EventPosition{}) return history;
  INDOUBT_ASSIGN_OR_RETURN(const auto micros, log.CommitTimeAfter(JustBefore(history.last)));
  history.last_micros = micros.value_or(0);
  return history;
}

Status KeepSourceMarks(const events::SourceMarks& before, events::SourceMarks now,
                       EventLog& log) {
  if (now.timeline() == 0) now.set_timeline(before.timeline());
  if (now.SerializeAsString() == before.SerializeAsString()) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(auto progress, log.ReadSnapshotProgress());
  if (!progress) progress.emplace();
  *progress->mutable_source() = std::move(now);
  return log.AmendSnapshotProgress(*progress);
}

}  // namespace

Result<events::SourceMarks> ReadSourceMarks(PgConnection& connection, TimePoint deadline) {
  // The checkpoint's timeline is the old one for a while after a promotion.
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection.Query(
          "SELECT system_identifier, CASE WHEN pg_is_in_recovery() THEN '0' ELSE "
          "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END, (extract(epoch FROM "
          "pg_postmaster_start_time()) * 1000000)::bigint FROM pg_control_system()",
          deadline));
  if (rows.size() != 1) {
    return Status(StatusCode::kInternal, "cdc source: it does not say which server it is");
  }
  events::SourceMarks marks;
  INDOUBT_ASSIGN_OR_RETURN(const auto system, ParseNumber<int64_t>(rows[0][0]));
  INDOUBT_ASSIGN_OR_RETURN(const auto timeline, ParseNumber<uint32_t>(rows[0][1], 16));
  INDOUBT_ASSIGN_OR_RETURN(const auto started, ParseNumber<int64_t>(rows[0][2]));
  marks.set_system(system);
  marks.set_timeline(timeline);
  marks.set_started_at(started);
  return marks;
}

Status CheckSourceMarks(const SlotOptions& options, const events::SourceMarks& before,
                        const events::SourceMarks& now, Lsn complete, const StopSignal& stop,
                        TimePoint deadline) {
  if (before.system() != 0 && before.system() != now.system()) {
    return Status(
        StatusCode::kRefused,
        fmt::format("the source is another server than the event log was filled from (system "
                    "identifier {}, not {}), and slot \"{}\" there is not the log's: name that "
                    "server again, or another slot and event log, and rebuild the views",
                    now.system(), before.system(), options.slot));
  }
  return CheckTimeline(options, before.timeline(), now.timeline(), complete, stop, deadline);
}

Result<events::SourceMarks> CheckHistory(const SlotOptions& options, const SlotFacts& slot,
                                         const LogHistory& log, const StopSignal& stop,
                                         TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const events::SourceMarks now,
                           ReadSourceMarks(*connection, deadline));
  INDOUBT_RETURN_IF_ERROR(
      CheckSourceMarks(options, log.source, now, log.complete, stop, deadline));
  const bool same_run = log.source.system() != 0 && log.source.started_at() == now.started_at();
  if (same_run || slot.confirmed >= log.complete) return now;
  INDOUBT_ASSIGN_OR_RETURN(
      const auto commits,
      PeekCommits(*connection, options, slot, std::max(log.last.lsn, slot.confirmed),
                  log.complete, deadline));
  INDOUBT_RETURN_IF_ERROR(CompareLastStretch(commits, slot.confirmed, log));
  return now;
}

Status CheckSource(const SlotOptions& options, EventLog& log, const StopSignal& stop,
                   TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const SlotFacts slot, ReadSlot(*connection, options.slot, deadline));
  INDOUBT_RETURN_IF_ERROR(CheckSlot(slot, log.end().complete));
  const Result<LogHistory> history = HistoryOf(log);
  if (!history) return NoVerdict(history.error());
  INDOUBT_ASSIGN_OR_RETURN(
      const auto now, CheckHistory(options, slot, *history, stop,
                                   std::max(deadline, SystemClock().Now() + kDecodeWithin)));
  return KeepSourceMarks(history->source, now, log);
}

Status CheckLogsHistory(const SlotOptions& options, const SlotFacts& slot, LogGlance& log,
                        TimePoint deadline) {
  const StopSignal never;
  const Result<LogHistory> history = HistoryOf(log);
  if (!history) return NoVerdict(history.error());
  const TimePoint now = SystemClock().Now();
  const Status checked =
      CheckHistory(options, slot, *history, never, now + (deadline - now) / 2).status();
  const bool not_seen =
      checked.code() == StatusCode::kLocked || checked.code() == StatusCode::kDeadlineExceeded;
  return not_seen ? Status::Ok() : checked;
}

}  // namespace indoubt::cdc_internal
