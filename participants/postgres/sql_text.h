// What can be told from a statement's text before it is sent: whether it would end
// the branch behind the coordinator's back, may only read, or leaves something
// behind in its session.
#pragma once

#include <string>
#include <string_view>

#include "participants/participant.h"

namespace indoubt::pg {

/// The first word, upper case, after white space, comments, semicolons and opening
/// parentheses; empty when there is none.
std::string FirstKeyword(std::string_view sql);

/// Ok, or kAborted for a statement that a branch must not run: transaction control
/// (it would commit or end the branch), COPY through the client, nothing at all, a NUL
/// byte, a list as parameter, or too many parameters.
Status CheckStatement(const Statement& statement);

/// Whether the statement often only reads, so that asking before the prepare may
/// save it. A guess: the server's word on a transaction id is what counts.
bool LooksReadOnly(std::string_view sql);

/// Whether a lock that it takes is meant to be held until the decision, though nothing may be
/// written under it: LOCK, an advisory lock of the transaction. (Not what a function does.)
bool TakesLock(std::string_view sql);

/// Whether it sends a notification, which a branch cannot.
bool Notifies(std::string_view sql);

/// Whether rows may come back. False is certain but for rules that rewrite the statement.
bool MayReturnRows(std::string_view sql);

/// Whether the session may be another one after it (SET, session locks, LISTEN,
/// temporary objects): such a connection is not used again, and keeps nothing meanwhile. What
/// hides in functions is taken back instead (CleaningCommands, session.h).
bool MayChangeSession(std::string_view sql);

/// Whether running it prepared (parsed once, run often) cannot be told from parsing it each
/// time, as long as no column that it writes gets another type (KeptStatements::kLife). Not
/// what holds a quoted literal, which is read when the text is parsed, with the settings and
/// the clock of then ('now'); nor what may return all columns of a table, for a prepared
/// statement fails when there comes to be one more.
bool MayBeKept(std::string_view sql);

}  // namespace indoubt::pg
