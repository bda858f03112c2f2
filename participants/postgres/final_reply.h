// What is asked before a branch ends, and how the answers to its end read.
#pragma once

#include <string>

#include "participants/postgres/branch_state.h"

namespace indoubt::pg {

/// Whether the branch has written (a transaction id is assigned), and how it reads.
/// PREPARE TRANSACTION always waits for its WAL; a plain COMMIT only if a statement has
/// not switched that off, so it is switched on again. And a branch belongs to the role that
/// prepares it, who alone may commit it: one that a statement has taken is given back. With
/// `assign` it gets an id if it has none, so that it is prepared and holds its locks.
Command AskTransactionId(bool assign, bool flush);

/// A field of the one row that `reply` brought; empty when there is none.
std::string TextAt(const Reply& reply, size_t column);

/// Why a commit row was refused, where the server's words say nothing of it.
std::string WhyRefused(Ending ending, const Reply& reply);

/// What the reply to PREPARE TRANSACTION or COMMIT says.
Finished ReadFinalReply(Ending ending, const ScriptReply& reply, size_t index);

}  // namespace indoubt::pg
