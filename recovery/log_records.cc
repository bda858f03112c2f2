#include "recovery/log_records.h"

#include <type_traits>
#include <utility>

#include "base/text.h"
#include "proto/records.pb.h"
#include "recovery/log_wire.h"

namespace indoubt {
namespace {

// Texts for people, on the way in and on the way out. proto3 refuses to parse a string that
// is not UTF-8, though it writes it; and what another hand has written into a log must not
// reach a terminal as control characters, nor change when it is carried on.
std::string Printable(std::string_view text) { return PrintableAscii(text); }

void Put(const Gid& gid, records::Gid* out) {
  out->set_node(std::string(gid.node.view()));
  out->set_log(std::string(gid.log.text()));
  out->set_incarnation(gid.incarnation);
  out->set_number(gid.number);
  out->set_home(std::string(gid.home.view()));
}

Result<Gid> Get(const records::Gid& in) {
  INDOUBT_ASSIGN_OR_RETURN(LogId log, LogId::Parse(in.log()));
  if (!IsValidName(in.node())) {
    return Status(StatusCode::kInvalidArgument, "a node's name is no name");
  }
  if (!in.home().empty() && !IsValidHome(in.home())) {
    return Status(StatusCode::kInvalidArgument, "a decision table's identity is none");
  }
  return Gid{in.node(), std::move(log), in.incarnation(), in.number(), in.home()};
}

/// Into a message that has who, reason and at.
template <typename Message>
void Put(const OperatorTrace& by, Message* out) {
  out->set_who(Printable(by.who));
  out->set_reason(Printable(by.reason));
  out->set_at(Printable(by.at));
}

template <typename Message>
OperatorTrace TraceFrom(const Message& in) {
  return {Printable(in.who()), Printable(in.reason()), Printable(in.at())};
}

struct Encoder {
  records::Record& out;

  void operator()(const HeuristicRecord& heuristic) const {
    auto* body = out.mutable_heuristic();
    Put(heuristic.gid, body->mutable_gid());
    body->set_participant(heuristic.participant);
    body->set_decision(ToString(heuristic.decision));
    body->set_reason(Printable(heuristic.reason));
    body->set_found_at(Printable(heuristic.found_at));
  }
  void operator()(const ForgetRecord& forget) const {
    Put(forget.gid, out.mutable_forget()->mutable_gid());
    Put(forget.by, out.mutable_forget());
  }
  void operator()(const OpenedRecord& opened) const {
    out.mutable_opened()->set_incarnation(opened.incarnation);
    out.mutable_opened()->set_node(Printable(opened.node));
    out.mutable_opened()->set_at(Printable(opened.at));
    if (opened.forgotten) Put(*opened.forgotten, out.mutable_opened()->mutable_forgotten());
  }
  void operator()(const EndedRecord& ended) const {
    Put(ended.first, out.mutable_ended()->mutable_first());
    out.mutable_ended()->set_bits(ended.bits);
    out.mutable_ended()->set_ended_at_s(ended.ended_at_s);
  }
  void operator()(const AcceptedRecord& accepted) const {
    out.mutable_accepted()->set_why(Printable(accepted.why));
    out.mutable_accepted()->set_at(Printable(accepted.at));
  }
  void operator()(const OperatorDecision& decision) const {
    auto* body = out.mutable_operator_decision();
    Put(decision.gid, body->mutable_gid());
    body->set_decided(ToString(decision.decided));
    body->set_known(ToString(decision.known));
    Put(decision.by, body);
    for (const std::string& name : decision.participants) {
      body->add_participants(Printable(name));
    }
  }
  void operator()(const AnsweredRecord& answered) const {
    out.mutable_answered()->set_request_id(Printable(answered.commit.request.id));
    out.mutable_answered()->set_request_digest(answered.commit.request.digest);
    Put(answered.commit.gid, out.mutable_answered()->mutable_gid());
    out.mutable_answered()->set_ended_at_s(answered.ended_at_s);
  }
};

Result<LogRecord> DecodeOperatorDecision(const records::OperatorDecision& in) {
  INDOUBT_ASSIGN_OR_RETURN(Gid gid, Get(in.gid()));
  const DecisionOutcome decided = DecisionOutcomeOf(in.decided());
  if (decided == DecisionOutcome::kUnknown) {
    return Status(StatusCode::kInvalidArgument, "an operator's decision decides nothing");
  }
  std::vector<std::string> participants;
  for (const std::string& name : in.participants()) participants.push_back(Printable(name));
  return LogRecord(OperatorDecision{std::move(gid), decided, DecisionOutcomeOf(in.known()),
                                    TraceFrom(in), std::move(participants)});
}

Result<LogRecord> DecodeCommit(const records::Commit& in) {
  INDOUBT_ASSIGN_OR_RETURN(Gid gid, Get(in.gid()));
  Decision decision{std::move(gid), {}, {Printable(in.request_id()), in.request_digest()}};
  for (const auto& branch : in.branches()) {
    if (!IsValidName(branch.participant())) {
      return Status(StatusCode::kInvalidArgument, "a participant's name is no name");
    }
    decision.branches.push_back(BranchRecord{branch.participant(), branch.token()});
  }
  return LogRecord(std::move(decision));
}

Result<LogRecord> Decode(const records::Record& in) {
  switch (in.body_case()) {
    case records::Record::kCommit:
      return DecodeCommit(in.commit());
    case records::Record::kEnd: {
      INDOUBT_ASSIGN_OR_RETURN(Gid gid, Get(in.end().gid()));
      return LogRecord(EndRecord{std::move(gid)});
    }
    case records::Record::kHeuristic: {
      const auto& body = in.heuristic();
      INDOUBT_ASSIGN_OR_RETURN(Gid gid, Get(body.gid()));
      return LogRecord(HeuristicRecord{std::move(gid), Printable(body.participant()),
                                       DecisionOutcomeOf(body.decision()),
                                       Printable(body.reason()), Printable(body.found_at())});
    }
    case records::Record::kForget: {
      INDOUBT_ASSIGN_OR_RETURN(Gid gid, Get(in.forget().gid()));
      return LogRecord(ForgetRecord{std::move(gid), TraceFrom(in.forget())});
    }
    case records::Record::kOpened: {
      OpenedRecord opened{in.opened().incarnation(),
                          Printable(in.opened().node()),
                          Printable(in.opened().at()),
                          {}};
      if (in.opened().has_forgotten()) {
        INDOUBT_ASSIGN_OR_RETURN(opened.forgotten, Get(in.opened().forgotten()));
      }
      return LogRecord(std::move(opened));
    }
    case records::Record::kEnded: {
      INDOUBT_ASSIGN_OR_RETURN(Gid first, Get(in.ended().first()));
      return LogRecord(
          EndedRecord{std::move(first), in.ended().bits(), in.ended().ended_at_s()});
    }
    case records::Record::kAccepted:
      return LogRecord(
          AcceptedRecord{Printable(in.accepted().why()), Printable(in.accepted().at())});
    case records::Record::kOperatorDecision:
      return DecodeOperatorDecision(in.operator_decision());
    case records::Record::kAnswered: {
      INDOUBT_ASSIGN_OR_RETURN(Gid gid, Get(in.answered().gid()));
      const auto& answered = in.answered();
      return LogRecord(AnsweredRecord{
          {std::move(gid), {Printable(answered.request_id()), answered.request_digest()}},
          answered.ended_at_s()});
    }
    case records::Record::BODY_NOT_SET:
      break;
  }
  return Status(StatusCode::kCorrupt, "a kind of record that this version does not know");
}

}  // namespace

std::string EncodeLogRecord(const LogRecord& record) {
  return std::visit(
      [](const auto& specific) {
        using Kind = std::decay_t<decltype(specific)>;
        if constexpr (std::is_same_v<Kind, Decision> || std::is_same_v<Kind, EndRecord>) {
          return EncodeWire(specific);
        } else {
          records::Record out;
          Encoder{out}(specific);
          return out.SerializeAsString();
        }
      },
      record);
}

Result<LogRecord> DecodeLogRecord(std::string_view body) {
  if (auto record = DecodeWire(body)) return std::move(*record);
  records::Record in;
  if (!in.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return Status(StatusCode::kCorrupt, "a whole record that cannot be parsed");
  }
  auto record = Decode(in);
  if (!record) return Status(StatusCode::kCorrupt, record.error().message());
  return record;
}

}  // namespace indoubt
