// The gRPC service in front of an executor, and the executor in front of a channel to one:
// for the servers that offer it, and for who has a channel already.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "coordinator/executor.h"
#include "participants/result_limit.h"

namespace indoubt {

/// Of a request, and of every message but an Execute's reply.
inline constexpr int kMaxMessageBytes = 64 << 20;
/// What a client takes of an Execute's reply: the results of the branches that prepare, those
/// of a last resource, and beside them gid, reason, votes and warnings.
inline constexpr int kMaxReplyBytes = 2 * int{kMaxResultBytes} + (1 << 20);

/// `executor` must outlive it.
std::unique_ptr<grpc::Service> MakeExecuteService(TransactionExecutor& executor);

/// An executor that hands everything to the server behind `channel`, which takes replies of
/// kMaxReplyBytes. Messages have `shown` where gRPC's have `address`.
std::unique_ptr<TransactionExecutor> MakeExecutorOn(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& address,
    const std::string& shown);

/// `text` with `shown` in place of each `address`.
std::string WithAddressShown(std::string text, const std::string& address,
                             const std::string& shown);

/// A time from now, for gRPC's deadlines.
gpr_timespec After(Duration duration);

/// Keeps gRPC's library up until the process ends; for every client. Without it the
/// library is taken down with the last client, on whatever thread drops the last
/// reference; gRPC 1.51 was seen to abort (ref_counted.h, "prior > 0") when that met a
/// call that was still being unwound after its server had been killed.
void KeepLibraryUp();

}  // namespace indoubt
