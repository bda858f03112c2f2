// Requests and outcomes as the gRPC service's messages, and back.
#pragma once

#include <string>

#include "coordinator/executor.h"
#include "proto/coordinator.pb.h"

namespace indoubt {

void EncodeRequest(const TransactionRequest& request, v1::ExecuteRequest& message);
/// As it was sent: the timeout is for CheckTimeout.
/// kInvalidArgument names the field that no request may have as it is.
Result<TransactionRequest> DecodeRequest(const v1::ExecuteRequest& message);

v1::Outcome EncodeOutcomeKind(Outcome outcome);
/// A word that this version does not know decodes as the least that it can mean:
/// an outcome as in doubt, a vote or an ack as unknown, a code as internal error.
Outcome DecodeOutcomeKind(v1::Outcome outcome);
void EncodeParticipant(const ParticipantOutcome& participant, v1::ParticipantOutcome& message);
ParticipantOutcome DecodeParticipant(const v1::ParticipantOutcome& message);
/// The code of this name.
StatusCode DecodeCode(const std::string& word);

void EncodeOutcome(TransactionOutcome outcome, v1::ExecuteReply& message);
TransactionOutcome DecodeOutcome(const v1::ExecuteReply& message);

}  // namespace indoubt
