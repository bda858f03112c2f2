#include "participants/postgres/decision_reading.h"

#include <algorithm>

#include <poll.h>

#include "participants/postgres/connection.h"

namespace indoubt {
namespace {

using pg::Command;
using pg::Connection;
using pg::Reply;
using pg::ScriptReply;

constexpr size_t kGidsAtOnce = 1000;

Status Await(Connection& connection, Connection::State wanted, TimePoint deadline) {
  while (connection.state() != wanted) {
    if (connection.state() == Connection::State::kBroken) {
      return Status(StatusCode::kUnavailable,
                    "the last resource cannot be asked: " + connection.broken_reason());
    }
    const auto left = deadline - SystemClock().Now();
    if (left <= Duration::zero()) {
      return Status(StatusCode::kDeadlineExceeded, "the last resource gave no answer in time");
    }
    pollfd waited{connection.fd(), connection.poll_events(), 0};
    const auto millis = left / std::chrono::milliseconds(1) + 1;
    poll(&waited, 1, static_cast<int>(std::min<int64_t>(millis, 60'000)));
    connection.Advance();
  }
  return Status::Ok();
}

/// The rows of `command`.
Result<std::vector<Value>> Ask(Connection& connection, const Command& command,
                               TimePoint deadline) {
  connection.Run({command});
  INDOUBT_RETURN_IF_ERROR(Await(connection, Connection::State::kIdle, deadline));
  const std::optional<ScriptReply> script = connection.TakeReply();
  if (!script || script->lost || script->replies.empty()) {
    return Status(StatusCode::kUnavailable, "the last resource cannot be asked: " +
                                                (script ? script->lost_reason : "no reply"));
  }
  const Reply& reply = script->replies.front();
  if (reply.kind == Reply::Kind::kDone) return reply.result.values;
  return Status(StatusCode::kUnavailable, "the last resource: " + reply.message);
}

const std::string& TextAt(const Value& row, size_t column) {
  return std::get<std::string>(std::get<std::vector<Value>>(row.held).at(column).held);
}

Command SelectRows(const std::vector<Gid>& gids, size_t from) {
  std::string list = "{";  // a gid holds nothing that would need quotes
  for (size_t i = from; i < std::min(from + kGidsAtOnce, gids.size()); ++i) {
    list += (list.size() > 1 ? "," : "") + gids[i].ToString();
  }
  return {.text = "SELECT gid, decision FROM indoubt.decisions WHERE gid = ANY ($1::text[])",
          .params = {Value{list + "}"}}};
}

}  // namespace

Result<FoundDecisions> ReadDecisionRows(const std::string& dsn, const std::vector<Gid>& gids,
                                        TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(const auto where, pg::ConnectionString::Parse(dsn));
  Connection connection(where);
  INDOUBT_RETURN_IF_ERROR(Await(connection, Connection::State::kIdle, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const auto made,
                           Ask(connection,
                               {.text = "SELECT to_regclass('indoubt.home')::text || ''"
                                        " WHERE to_regclass('indoubt.home') IS NOT NULL"},
                               deadline));
  FoundDecisions rows;
  if (made.empty()) return rows;
  INDOUBT_ASSIGN_OR_RETURN(const auto home,
                           Ask(connection, {.text = "SELECT id FROM indoubt.home"}, deadline));
  if (home.size() == 1) rows.home = TextAt(home[0], 0);
  for (size_t from = 0; from < gids.size(); from += kGidsAtOnce) {
    INDOUBT_ASSIGN_OR_RETURN(const auto found,
                             Ask(connection, SelectRows(gids, from), deadline));
    for (const Value& row : found) {
      INDOUBT_ASSIGN_OR_RETURN(const Gid gid, Gid::Parse(TextAt(row, 0)));
      rows.outcomes[gid] =
          TextAt(row, 1) == "commit" ? DecisionOutcome::kCommitted : DecisionOutcome::kAborted;
    }
  }
  return rows;
}

}  // namespace indoubt
