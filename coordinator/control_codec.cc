#include "coordinator/control_codec.h"

#include "coordinator/service_codec.h"

namespace indoubt {
namespace {

/// Between a list of ours and one of messages, item by item.
template <typename To, typename Items>
void EncodeParticipants(const Items& items, To& message) {
  for (const ParticipantOutcome& item : items) {
    EncodeParticipant(item, *message.add_participants());
  }
}
template <typename From>
std::vector<ParticipantOutcome> DecodeParticipants(const From& message) {
  std::vector<ParticipantOutcome> items;
  items.reserve(static_cast<size_t>(message.participants_size()));
  for (const auto& item : message.participants()) items.push_back(DecodeParticipant(item));
  return items;
}

void EncodeView(const TransactionView& view, v1::TransactionView& message) {
  message.set_gid(view.gid);
  message.set_outcome(EncodeOutcomeKind(view.outcome));
  message.set_note(view.note);
  EncodeParticipants(view.participants, message);
  message.set_forgotten(view.forgotten);
  message.set_under_way(view.under_way);
  if (!view.operator_decision) return;
  const OperatorDecision& decision = *view.operator_decision;
  v1::OperatorDecision& to = *message.mutable_operator_decision();
  to.set_decided(ToString(decision.decided));
  to.set_known(ToString(decision.known));
  EncodeTrace(decision.by, *to.mutable_by());
  for (const std::string& name : decision.participants) to.add_participants(name);
}

TransactionView DecodeView(const v1::TransactionView& message) {
  TransactionView view{message.gid(),
                       DecodeOutcomeKind(message.outcome()),
                       message.note(),
                       DecodeParticipants(message),
                       {},
                       message.forgotten(),
                       message.under_way()};
  const auto gid = Gid::Parse(message.gid());
  if (!message.has_operator_decision() || !gid) return view;
  const v1::OperatorDecision& from = message.operator_decision();
  view.operator_decision = {*gid,
                            DecisionOutcomeOf(from.decided()),
                            DecisionOutcomeOf(from.known()),
                            DecodeTrace(from.by()),
                            {from.participants().begin(), from.participants().end()}};
  return view;
}

}  // namespace

void EncodeReport(const RecoveryReport& report, v1::RecoverReply& message) {
  message.set_committed(report.committed);
  message.set_rolled_back(report.rolled_back);
  message.set_in_doubt(report.in_doubt);
  message.set_heuristic(report.heuristic);
  for (const RecoveredTransaction& transaction : report.transactions) {
    v1::RecoveredTransaction& to = *message.add_transactions();
    to.set_gid(transaction.gid);
    to.set_outcome(EncodeOutcomeKind(transaction.outcome));
    EncodeParticipants(transaction.participants, to);
  }
  for (const std::string& notice : report.notices) message.add_notices(notice);
  for (const std::string& name : report.unreachable) message.add_unreachable(name);
}

RecoveryReport DecodeReport(const v1::RecoverReply& message) {
  RecoveryReport report;
  report.committed = message.committed();
  report.rolled_back = message.rolled_back();
  report.in_doubt = message.in_doubt();
  report.heuristic = message.heuristic();
  for (const v1::RecoveredTransaction& from : message.transactions()) {
    report.transactions.push_back(
        {from.gid(), DecodeOutcomeKind(from.outcome()), DecodeParticipants(from)});
  }
  report.notices.assign(message.notices().begin(), message.notices().end());
  report.unreachable.assign(message.unreachable().begin(), message.unreachable().end());
  return report;
}

void EncodeList(const TransactionList& list, v1::TransactionList& message) {
  for (const TransactionView& view : list.transactions) {
    EncodeView(view, *message.add_transactions());
  }
  for (const std::string& notice : list.notices) message.add_notices(notice);
}

TransactionList DecodeList(const v1::TransactionList& message) {
  TransactionList list;
  for (const v1::TransactionView& from : message.transactions()) {
    list.transactions.push_back(DecodeView(from));
  }
  list.notices.assign(message.notices().begin(), message.notices().end());
  return list;
}

void EncodeTrace(const OperatorTrace& by, v1::OperatorTrace& message) {
  message.set_who(by.who);
  message.set_reason(by.reason);
  message.set_at(by.at);
}

OperatorTrace DecodeTrace(const v1::OperatorTrace& message) {
  return {message.who(), message.reason(), message.at()};
}

void EncodeResolve(const ResolveRequest& request, v1::ResolveRequest& message) {
  message.set_gid(request.gid.ToString());
  message.set_decision(ToString(request.decision));
  EncodeTrace(request.by, *message.mutable_by());
  message.set_force(request.force);
  if (request.adopt) message.set_adopt(std::string(request.adopt->text()));
}

Result<ResolveRequest> DecodeResolve(const v1::ResolveRequest& message) {
  INDOUBT_ASSIGN_OR_RETURN(Gid gid, Gid::Parse(message.gid()));
  INDOUBT_ASSIGN_OR_RETURN(auto adopt, DecodeAdopt(message.adopt()));
  const DecisionOutcome decision = DecisionOutcomeOf(message.decision());
  if (decision == DecisionOutcome::kUnknown) {
    return Status(StatusCode::kInvalidArgument, "decision: must be committed or aborted");
  }
  return ResolveRequest{std::move(gid), decision, DecodeTrace(message.by()), message.force(),
                        std::move(adopt)};
}

Result<std::optional<LogId>> DecodeAdopt(const std::string& text) {
  if (text.empty()) return std::optional<LogId>();
  INDOUBT_ASSIGN_OR_RETURN(LogId id, LogId::Parse(text));
  return std::optional<LogId>(std::move(id));
}

}  // namespace indoubt
