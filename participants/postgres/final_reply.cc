#include "participants/postgres/final_reply.h"

#include <fmt/format.h>

namespace indoubt::pg {
namespace {

/// What to do about a PREPARE TRANSACTION that found no free slot: the server's hint names
/// the setting, in whatever language, and not what else helps.
std::string Remedy(const Reply& reply) {
  constexpr const char* kOutOfMemory = "53200";
  if (reply.sqlstate != kOutOfMemory ||
      reply.message.find("max_prepared_transactions") == std::string::npos) {
    return "";
  }
  return "; settle what is in doubt (indoubt txn list), or raise it (ALTER SYSTEM SET "
         "max_prepared_transactions = ...) and restart the server";
}

}  // namespace

Command AskTransactionId(bool assign, bool flush) {
  const char* const id = assign ? "pg_current_xact_id" : "pg_current_xact_id_if_assigned";
  return {.text = fmt::format("SELECT pg_catalog.{}()::text, ", id) +
                  "pg_catalog.current_setting('transaction_isolation'), "
                  "CASE pg_catalog.current_setting('synchronous_commit') WHEN 'off' "
                  "THEN pg_catalog.set_config('synchronous_commit', 'on', true) END, "
                  "pg_catalog.set_config('session_authorization', NULL, true), "
                  "pg_catalog.set_config('role', NULL, true)",
          .flush_after = flush};
}

std::string TextAt(const Reply& reply, size_t column) {
  if (reply.kind != Reply::Kind::kDone || reply.result.values.size() != 1) return "";
  const auto* row = std::get_if<std::vector<Value>>(&reply.result.values.front().held);
  const auto* text = row != nullptr && column < row->size()
                         ? std::get_if<std::string>(&(*row)[column].held)
                         : nullptr;
  return text == nullptr ? "" : *text;
}

std::string WhyRefused(Ending ending, const Reply& reply) {
  constexpr const char* kNotNull = "23502";
  if (ending != Ending::kDecide || reply.sqlstate != kNotNull) return reply.message;
  return "its commit row was refused: a statement has switched synchronous_commit off (leave "
         "it on), or a recovery pass has closed this transaction (run it again)";
}

Finished ReadFinalReply(Ending ending, const ScriptReply& reply, size_t index) {
  using Kind = Finished::Kind;
  const bool prepares = ending == Ending::kPrepare;
  const std::string_view verb = prepares ? "PREPARE TRANSACTION" : "COMMIT";
  const Reply& last = reply.replies.at(index);
  switch (last.kind) {
    case Reply::Kind::kDone:
      if (last.tag == verb) return {.kind = Kind::kDone};
      return {.kind = Kind::kNo,
              .reason = fmt::format("{} was answered {}: the transaction had failed before",
                                    verb, last.tag)};
    case Reply::Kind::kError:
      // Class 57: somebody cancelled it or shut the server down, perhaps just after it
      // had become durable.
      return {.kind = last.sqlstate.starts_with("57") ? Kind::kUnknown : Kind::kNo,
              .reason = fmt::format("{}: {}{}", verb, last.message, Remedy(last))};
    case Reply::Kind::kSkipped:
      break;
  }
  return {.kind = Kind::kUnknown,
          .reason = fmt::format("connection lost during {}: {}", verb, reply.lost_reason)};
}

}  // namespace indoubt::pg
