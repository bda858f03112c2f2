// A connection that many transactions share: what waits is sent in one go, so that
// its commands share a round trip and the server's fsync.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "participants/redis/redis_confirmation.h"
#include "participants/redis/redis_connection.h"
#include "participants/redis/redis_participant.h"

namespace indoubt {

/// One function call, and what to do with its answer.
struct RedisCall {
  TimePoint deadline;
  RedisArguments command;
  /// Once, on the pipeline's thread. `reply` is null when there is none: `why` says
  /// why, and `sent` whether the call may have run all the same.
  std::function<void(const redisReply* reply, const Status& why, bool sent)> answer;
};

/// Thread-safe. At the end, what is left is answered first.
class RedisPipeline {
 public:
  RedisPipeline(RedisAddress address, RedisDurability durability);
  ~RedisPipeline();
  /// Sends now, or at `not_before`. Bounded: answers kUnavailable when too much waits,
  /// or after Stop. A call whose deadline passes before it is sent is not sent.
  void Submit(RedisCall call, TimePoint not_before = TimePoint());
  /// The outcome record of `branch` goes, together with others, soon: nothing waits for that,
  /// and by itself each would cost the server a sync. Best effort, also at the end.
  void Forget(std::string branch);
  /// Connects anew, and so inspects the server again, before it sends anything more.
  void Distrust();
  /// Answers all that waits and ends the thread. Not from a callback.
  void Stop();

 private:
  void Loop();
  /// When something is due; the greatest time when nothing waits.
  TimePoint NextDue() const;
  /// One call for all that are to be forgotten.
  RedisCall ForgetAll();
  /// Takes what is due; waits until something is, or until the end.
  std::deque<RedisCall> TakeBatch(bool& stopping);
  void RunBatch(std::deque<RedisCall> batch);
  /// RunBatch for calls that are all in time.
  void SendBatch(std::deque<RedisCall> batch);
  /// One exchange; the replies to `commands`, once what they wrote has been confirmed.
  Result<std::vector<RedisReply>> Exchange(std::vector<RedisArguments> commands);
  /// Connects, looks whether the server may be used, loads the library.
  Status EnsureConnected();

  const RedisAddress address_;
  const RedisDurability durability_;
  std::mutex mutex_;  // guards the next eight
  std::condition_variable wake_;
  std::deque<RedisCall> queue_;
  std::multimap<TimePoint, RedisCall> later_;
  std::vector<std::string> forgotten_;  // branches
  TimePoint forget_at_;                 // when any is there
  TimePoint sleeps_until_;              // unless it is woken
  bool stopping_ = false;
  bool distrusted_ = false;
  std::unique_ptr<RedisConnection> connection_;  // the thread's own, as the next one
  RedisConfirmation confirmation_;
  std::thread thread_;
};

}  // namespace indoubt
