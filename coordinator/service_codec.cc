#include "coordinator/service_codec.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

namespace indoubt {
namespace {

constexpr std::array kVotes{VoteKind::kYes, VoteKind::kReadOnly, VoteKind::kNo,
                            VoteKind::kUnknown};
constexpr std::array kAcks{AckState::kNone, AckState::kCommitted, AckState::kRolledBack,
                           AckState::kUnknown, AckState::kHeuristic};
constexpr std::array kCodes{
    StatusCode::kOk,      StatusCode::kInvalidArgument, StatusCode::kUnavailable,
    StatusCode::kRefused, StatusCode::kAborted,         StatusCode::kDeadlineExceeded,
    StatusCode::kLocked,  StatusCode::kNotFound,        StatusCode::kCorrupt,
    StatusCode::kIoError, StatusCode::kUnsupported,     StatusCode::kInternal};

/// The inverse of ToString over `known`.
template <typename Enum, size_t N>
Enum FromWord(const std::array<Enum, N>& known, const std::string& word, Enum otherwise) {
  for (const Enum value : known) {
    if (word == ToString(value)) return value;
  }
  return otherwise;
}

void EncodeValue(const Value& value, v1::Value& message) {
  struct Visitor {
    v1::Value& to;
    void operator()(std::monostate) const { to.mutable_null(); }
    void operator()(bool held) const { to.set_boolean(held); }
    void operator()(int64_t held) const { to.set_integer(held); }
    void operator()(double held) const { to.set_real(held); }
    void operator()(const std::string& held) const { to.set_text(held); }
    void operator()(const Blob& held) const { to.set_blob(held.bytes); }
    void operator()(const std::vector<Value>& held) const {
      auto& list = *to.mutable_list();
      for (const Value& item : held) EncodeValue(item, *list.add_items());
    }
  };
  std::visit(Visitor{message}, value.held);
}

Value DecodeValue(const v1::Value& message) {
  switch (message.held_case()) {
    case v1::Value::kBoolean:
      return {message.boolean()};
    case v1::Value::kInteger:
      return {int64_t{message.integer()}};
    case v1::Value::kReal:
      return {message.real()};
    case v1::Value::kText:
      return {message.text()};
    case v1::Value::kBlob:
      return {Blob{message.blob()}};
    case v1::Value::kList: {
      std::vector<Value> items;
      for (const v1::Value& item : message.list().items()) items.push_back(DecodeValue(item));
      return {std::move(items)};
    }
    case v1::Value::kNull:
    case v1::Value::HELD_NOT_SET:
      return {};
  }
  return {};
}

/// Whether something is set, in a list's items too.
bool IsComplete(const v1::Value& message) {
  if (message.held_case() == v1::Value::HELD_NOT_SET) return false;
  const auto& items = message.list().items();
  return std::all_of(items.begin(), items.end(), IsComplete);
}

Status WrongField(const std::string& field, const std::string& what) {
  return Status(StatusCode::kInvalidArgument, fmt::format("{}: {}", field, what));
}

Result<std::optional<AnswerWhen>> DecodeAnswerWhen(v1::AnswerWhen message) {
  switch (message) {
    case v1::ANSWER_WHEN_UNSPECIFIED:
      return std::optional<AnswerWhen>();
    case v1::ANSWER_WHEN_APPLIED:
      return std::optional(AnswerWhen::kApplied);
    case v1::ANSWER_WHEN_DECIDED:
      return std::optional(AnswerWhen::kDecided);
    case v1::AnswerWhen_INT_MIN_SENTINEL_DO_NOT_USE_:  // protobuf's own
    case v1::AnswerWhen_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return WrongField("answer_when", fmt::format("{} is not known here; unset, "
                                               "ANSWER_WHEN_APPLIED or ANSWER_WHEN_DECIDED",
                                               static_cast<int>(message)));
}

}  // namespace

v1::Outcome EncodeOutcomeKind(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCommitted:
      return v1::OUTCOME_COMMITTED;
    case Outcome::kRolledBack:
      return v1::OUTCOME_ROLLED_BACK;
    case Outcome::kInDoubt:
      return v1::OUTCOME_IN_DOUBT;
    case Outcome::kHeuristic:
      return v1::OUTCOME_HEURISTIC;
  }
  return v1::OUTCOME_UNSPECIFIED;
}

Outcome DecodeOutcomeKind(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_COMMITTED:
      return Outcome::kCommitted;
    case v1::OUTCOME_ROLLED_BACK:
      return Outcome::kRolledBack;
    case v1::OUTCOME_HEURISTIC:
      return Outcome::kHeuristic;
    case v1::OUTCOME_IN_DOUBT:
    case v1::OUTCOME_UNSPECIFIED:
    case v1::Outcome_INT_MIN_SENTINEL_DO_NOT_USE_:  // protobuf's own
    case v1::Outcome_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return Outcome::kInDoubt;  // also a value of a newer server
}

void EncodeParticipant(const ParticipantOutcome& participant, v1::ParticipantOutcome& message) {
  message.set_name(participant.name);
  message.set_vote(participant.vote ? ToString(*participant.vote) : "none");
  message.set_ack(ToString(participant.ack));
}

ParticipantOutcome DecodeParticipant(const v1::ParticipantOutcome& message) {
  ParticipantOutcome participant;
  participant.name = message.name();
  if (message.vote() != "none") {
    participant.vote = FromWord(kVotes, message.vote(), VoteKind::kUnknown);
  }
  participant.ack = FromWord(kAcks, message.ack(), AckState::kUnknown);
  return participant;
}

StatusCode DecodeCode(const std::string& word) {
  return FromWord(kCodes, word, StatusCode::kInternal);
}

void EncodeRequest(const TransactionRequest& request, v1::ExecuteRequest& message) {
  message.set_timeout_ns(request.timeout.count());
  message.set_request_id(request.request_id);
  message.set_announce_gid(request.announce_gid);
  if (request.answer_when) {
    message.set_answer_when(*request.answer_when == AnswerWhen::kDecided
                                ? v1::ANSWER_WHEN_DECIDED
                                : v1::ANSWER_WHEN_APPLIED);
  }
  for (const AddressedStatement& addressed : request.statements) {
    v1::Statement& statement = *message.add_statements();
    statement.set_participant(addressed.participant);
    statement.set_text(addressed.statement.text);
    for (const Value& value : addressed.statement.params) {
      EncodeValue(value, *statement.add_params());
    }
    if (addressed.statement.expect_rows) {
      statement.set_expect_rows(*addressed.statement.expect_rows);
    }
  }
}

Result<TransactionRequest> DecodeRequest(const v1::ExecuteRequest& message) {
  TransactionRequest request;
  request.timeout = Duration(message.timeout_ns());
  request.request_id = message.request_id();
  request.announce_gid = message.announce_gid();
  INDOUBT_ASSIGN_OR_RETURN(request.answer_when, DecodeAnswerWhen(message.answer_when()));
  for (int i = 0; i < message.statements_size(); ++i) {
    const v1::Statement& statement = message.statements(i);
    AddressedStatement addressed;
    addressed.participant = statement.participant();
    addressed.statement.text = statement.text();
    for (int j = 0; j < statement.params_size(); ++j) {
      const v1::Value& value = statement.params(j);
      if (!IsComplete(value)) {
        return WrongField(fmt::format("statements[{}].params[{}]", i, j),
                          "holds no value; a null is one, too: set `null`");
      }
      addressed.statement.params.push_back(DecodeValue(value));
    }
    if (statement.has_expect_rows()) {
      if (statement.expect_rows() < 0) {
        return WrongField(
            fmt::format("statements[{}].expect_rows", i),
            fmt::format("is {}; a number of rows is 0 or more, and unset when any "
                        "will do",
                        statement.expect_rows()));
      }
      addressed.statement.expect_rows = statement.expect_rows();
    }
    request.statements.push_back(std::move(addressed));
  }
  return request;
}

void EncodeOutcome(TransactionOutcome outcome, v1::ExecuteReply& message) {
  message.set_gid(std::move(outcome.gid));
  message.set_outcome(EncodeOutcomeKind(outcome.outcome));
  message.set_reason(std::move(outcome.reason));
  message.set_code(ToString(outcome.code));
  message.set_elapsed_ns(outcome.elapsed.count());
  message.set_asked_before(outcome.asked_before);
  for (const StatementResult& result : outcome.results) {
    v1::StatementResult& to = *message.add_results();
    if (result.rows) to.set_rows(*result.rows);
    for (const Value& value : result.values) EncodeValue(value, *to.add_values());
  }
  for (const ParticipantOutcome& participant : outcome.participants) {
    EncodeParticipant(participant, *message.add_participants());
  }
  for (std::string& warning : outcome.warnings) message.add_warnings(std::move(warning));
}

TransactionOutcome DecodeOutcome(const v1::ExecuteReply& message) {
  TransactionOutcome outcome;
  outcome.gid = message.gid();
  outcome.outcome = DecodeOutcomeKind(message.outcome());
  outcome.reason = message.reason();
  outcome.code = DecodeCode(message.code());
  outcome.elapsed = Duration(message.elapsed_ns());
  outcome.asked_before = message.asked_before();
  for (const v1::StatementResult& from : message.results()) {
    StatementResult result;
    if (from.has_rows()) result.rows = from.rows();
    for (const v1::Value& value : from.values()) result.values.push_back(DecodeValue(value));
    outcome.results.push_back(std::move(result));
  }
  for (const v1::ParticipantOutcome& from : message.participants()) {
    outcome.participants.push_back(DecodeParticipant(from));
  }
  outcome.warnings.assign(message.warnings().begin(), message.warnings().end());
  return outcome;
}

}  // namespace indoubt
