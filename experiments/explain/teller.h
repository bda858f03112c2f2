// Puts a transaction's story together; story.h is what others call.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "experiments/explain/story.h"
#include "experiments/explain/transaction_records.h"

namespace indoubt {

/// One story; used once. The JSON library throws where a record is not of its form.
class Teller {
 public:
  explicit Teller(TransactionRecords records) : records_(std::move(records)) {
    FindSpan();
    FindKeys(records_.operation);
  }
  Result<std::vector<StoryLine>> Tell();

 private:
  /// From the first to the last moment that any record has of it.
  void FindSpan();
  /// The keys that this operation wrote.
  void FindKeys(const nlohmann::json& op);
  void Add(int64_t at_ns, std::string text);
  void AddTimeless(std::string text) { lines_.push_back({std::nullopt, std::move(text)}); }

  // Of the transaction itself: story.cc.
  void TellOperation();
  void TellVotes(int64_t answered);
  void TellInDoubt();
  void TellLog();
  void TellEnd();

  // Of what went on around it: surroundings.cc.
  /// Its client got no answer, so that no operation names it: which it may have been.
  Status TellWithoutAnswer();
  /// Those between whose striking and healing any of it happened.
  void TellFaults();
  /// Writers that waited for its keys; where these are not known, whoever waited long.
  Status TellWaiters();
  Result<std::vector<nlohmann::json>> OfOrder(const char* file);
  Status TellReads();
  Status TellLag();

  TransactionRecords records_;
  int64_t begin_ = 0, end_ = 0;  // from the first to the last moment that a record has of it
  int64_t order_ = 0;            // 0: none, or not known
  std::set<std::string> keys_;   // empty: not known
  std::vector<StoryLine> lines_;
};

/// Nanoseconds as milliseconds.
inline double Ms(int64_t nanos) { return static_cast<double>(nanos) / 1e6; }
/// A string without its quotes; anything else as JSON.
inline std::string Words(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}
/// A wait shorter than this nobody would notice.
inline constexpr double kNoticedMs = 1;

}  // namespace indoubt
