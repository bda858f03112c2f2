// Statements for Redis: redis-cli lines into words, and the function's answers back
// into results.
#pragma once

#include <string>
#include <vector>

#include <hiredis/hiredis.h>

#include "participants/participant.h"

namespace indoubt {

/// Splits a line as redis-cli does: "double quotes" with \n \r \t \b \a \\ \" \xHH,
/// 'single quotes' with \'. An argument $1, $2, ... outside quotes stands for that
/// parameter, whole. kAborted says what is wrong: the branch votes no.
Result<std::vector<std::string>> SplitRedisLine(const Statement& statement);

/// Arguments of the library's prepare, run and work: see library/evaluate.lua. kAborted
/// for a line that cannot be read or more than a branch may hold.
Result<std::vector<std::string>> EncodeBranchWork(const std::string& branch, size_t seen,
                                                  const std::string& digest,
                                                  const std::vector<Statement>& statements);

/// The results in an answer of the library.
std::vector<StatementResult> DecodeResults(const redisReply& results);

}  // namespace indoubt
