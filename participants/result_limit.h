// How much a transaction may bring back: its results are held in memory and go to a client
// in one message, which has room for as much (kMaxReplyBytes).
#pragma once

#include <string_view>

#include "participants/participant.h"

namespace indoubt {

/// Of all results of one branch together, as SizeInMemory counts; and of those of all
/// branches of a transaction that prepare. The branch that commits with its answer, a last
/// resource's, comes after the others' votes and counts apart.
inline constexpr size_t kMaxResultBytes = size_t{64} << 20;

/// Why a branch whose results pass the bound votes no.
inline constexpr std::string_view kTooManyResults =
    "the results of this transaction take more than 64 MiB here; narrow the query, or ask "
    "outside of the transaction";

/// Why a transaction whose branches pass the bound together is rolled back.
inline constexpr std::string_view kTooManyResultsTogether =
    "the results of all participants together take more than 64 MiB; narrow the queries, or "
    "ask outside of the transaction";

/// About what a value takes, never less than it takes in a message.
inline size_t SizeInMemory(const Value& value) {
  size_t size = sizeof(Value);
  if (const auto* text = std::get_if<std::string>(&value.held)) size += text->size();
  if (const auto* blob = std::get_if<Blob>(&value.held)) size += blob->bytes.size();
  if (const auto* list = std::get_if<std::vector<Value>>(&value.held)) {
    for (const Value& item : *list) size += SizeInMemory(item);
  }
  return size;
}

inline size_t SizeInMemory(const StatementResult& result) {
  size_t size = sizeof(StatementResult);
  for (const Value& value : result.values) size += SizeInMemory(value);
  return size;
}

}  // namespace indoubt
