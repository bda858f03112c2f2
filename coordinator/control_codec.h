// What goes over the control socket, as its messages, and back.
#pragma once

#include <string>

#include "coordinator/operations.h"
#include "proto/control.pb.h"

namespace indoubt {

void EncodeReport(const RecoveryReport& report, v1::RecoverReply& message);
RecoveryReport DecodeReport(const v1::RecoverReply& message);

void EncodeList(const TransactionList& list, v1::TransactionList& message);
TransactionList DecodeList(const v1::TransactionList& message);

void EncodeTrace(const OperatorTrace& by, v1::OperatorTrace& message);
OperatorTrace DecodeTrace(const v1::OperatorTrace& message);

void EncodeResolve(const ResolveRequest& request, v1::ResolveRequest& message);
/// kInvalidArgument for what no ResolveRequest can be.
Result<ResolveRequest> DecodeResolve(const v1::ResolveRequest& message);

/// None for the empty text; kInvalidArgument for what is no log's identity.
Result<std::optional<LogId>> DecodeAdopt(const std::string& text);

}  // namespace indoubt
