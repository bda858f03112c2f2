// Requests with an id that are under way: whoever asks for one of them meanwhile waits for
// the same answer. What was committed before is in the decision log.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/executor.h"
#include "participants/decision.h"

namespace indoubt {

/// Thread-safe.
class RequestRegister {
 public:
  /// More callers than this do not wait for one request's answer.
  static constexpr size_t kMaxWaiting = 64;

  enum class Turn { kFirst, kWaits, kTooMany, kAnother };
  /// kFirst: nobody is at it, and the caller has to Answer. kWaits: `done` was taken and
  /// gets the first one's answer. kTooMany: neither. kAnother: neither, for the first one
  /// asks for something else by this id.
  Turn Enter(const RequestName& request, OutcomeCallback& done);

  /// Everybody who waits gets `outcome`, marked as asked for before if it has a gid, and `id`
  /// is free.
  void Answer(const std::string& id, const TransactionOutcome& outcome);

 private:
  struct UnderWay {
    RequestName request;
    std::vector<OutcomeCallback> waiting;
  };

  std::mutex mutex_;
  std::unordered_map<std::string, UnderWay> under_way_;  // by id; guarded by mutex_
};

}  // namespace indoubt
