// Requests with an id that are under way: whoever asks for one of them meanwhile waits for
// the same answer. What was committed before is in the decision log.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/executor.h"

namespace indoubt {

/// Thread-safe.
class RequestRegister {
 public:
  /// More callers than this do not wait for one request's answer.
  static constexpr size_t kMaxWaiting = 64;

  enum class Turn { kFirst, kWaits, kTooMany };
  /// kFirst: nobody is at it, and the caller has to Answer. kWaits: `done` was taken and
  /// gets the first one's answer. kTooMany: neither.
  Turn Enter(const std::string& id, OutcomeCallback& done);

  /// Everybody who waits gets `outcome`, marked as asked for before, and `id` is free.
  void Answer(const std::string& id, const TransactionOutcome& outcome);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<OutcomeCallback>> waiting_;  // guarded by mutex_
};

}  // namespace indoubt
