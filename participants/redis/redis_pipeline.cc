#include "participants/redis/redis_pipeline.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "participants/redis/redis_inspection.h"

namespace indoubt {
namespace {

constexpr size_t kMostQueued = 10'000;
constexpr size_t kMostInBatch = 256;
// How long the server may say nothing: as long as no call of the batch is late, within these.
// Calls that come meanwhile wait as well, so that a server that hangs must not hold the thread
// for the longest deadline.
constexpr auto kLeastSilence = std::chrono::seconds(2);
constexpr auto kMostSilence = std::chrono::seconds(10);
// Outcome records go when there are so many, with the next batch, or by themselves after a
// while. Not many more: Redis looks through all of a small hash for each of its fields.
constexpr size_t kForgetTogether = 16;
constexpr auto kForgetAfter = std::chrono::milliseconds(100);

/// In whole seconds, so that the socket need not be told anew for every batch.
std::chrono::seconds SilenceAllowed(const std::deque<RedisCall>& batch) {
  const auto earliest = std::min_element(
      batch.begin(), batch.end(),
      [](const RedisCall& a, const RedisCall& b) { return a.deadline < b.deadline; });
  const auto left =
      std::chrono::ceil<std::chrono::seconds>(earliest->deadline - SystemClock().Now());
  return std::clamp<std::chrono::seconds>(left, kLeastSilence, kMostSilence);
}

}  // namespace

RedisPipeline::RedisPipeline(RedisAddress address, RedisDurability durability)
    : address_(std::move(address)), durability_(durability), thread_([this] { Loop(); }) {}

RedisPipeline::~RedisPipeline() { Stop(); }

void RedisPipeline::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void RedisPipeline::Distrust() {
  const std::lock_guard lock(mutex_);
  distrusted_ = true;
}

void RedisPipeline::Submit(RedisCall call, TimePoint not_before) {
  {
    std::unique_lock lock(mutex_);
    if (queue_.size() + later_.size() < kMostQueued && !stopping_) {
      if (not_before == TimePoint()) {
        queue_.push_back(std::move(call));
      } else {
        later_.emplace(not_before, std::move(call));
      }
      lock.unlock();
      wake_.notify_one();
      return;
    }
  }
  call.answer(
      nullptr,
      Status(StatusCode::kUnavailable, "too many calls wait for this Redis, or it is closed"),
      false);
}

void RedisPipeline::Forget(std::string branch) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || forgotten_.size() >= kMostQueued) return;
    if (forgotten_.empty()) forget_at_ = SystemClock().Now() + kForgetAfter;
    forgotten_.push_back(std::move(branch));
    wake = forget_at_ < sleeps_until_;
  }
  if (wake) wake_.notify_one();
}

TimePoint RedisPipeline::NextDue() const {
  const TimePoint later = later_.empty() ? TimePoint::max() : later_.begin()->first;
  return forgotten_.empty() ? later : std::min(later, forget_at_);
}

RedisCall RedisPipeline::ForgetAll() {
  RedisCall call{SystemClock().Now() + kMostSilence,
                 {"FCALL", "indoubt_forget", "0"},
                 [](const redisReply*, const Status&, bool) {}};
  std::move(forgotten_.begin(), forgotten_.end(), std::back_inserter(call.command));
  forgotten_.clear();
  return call;
}

std::deque<RedisCall> RedisPipeline::TakeBatch(bool& stopping) {
  std::unique_lock lock(mutex_);
  while (!stopping_ && queue_.empty() && NextDue() > SystemClock().Now()) {
    const TimePoint due = sleeps_until_ = NextDue();
    if (due == TimePoint::max()) {
      wake_.wait(lock);
    } else {
      wake_.wait_until(lock, due);
    }
  }
  sleeps_until_ = TimePoint();  // awake
  std::deque<RedisCall> batch;
  const TimePoint now = SystemClock().Now();
  while (!later_.empty() && (stopping_ || later_.begin()->first <= now) &&
         batch.size() < kMostInBatch) {
    batch.push_back(std::move(later_.begin()->second));
    later_.erase(later_.begin());
  }
  while (!queue_.empty() && batch.size() < kMostInBatch) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  // Behind what somebody waits for.
  const bool many = forgotten_.size() >= kForgetTogether;
  if (many || (!forgotten_.empty() && (stopping_ || forget_at_ <= now))) {
    batch.push_back(ForgetAll());
  }
  stopping = stopping_;
  return batch;
}

void RedisPipeline::Loop() {
  for (;;) {
    bool stopping = false;
    std::deque<RedisCall> batch = TakeBatch(stopping);
    if (stopping && batch.empty()) return;
    RunBatch(std::move(batch));
  }
}

Status RedisPipeline::EnsureConnected() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(distrusted_, false)) connection_.reset();
  }
  if (connection_ != nullptr && connection_->LooksClosed()) connection_.reset();
  if (connection_ != nullptr) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(auto connection, RedisConnection::Connect(address_, kLeastSilence));
  INDOUBT_ASSIGN_OR_RETURN(const PreflightReport report,
                           InspectRedis(*connection, durability_));
  if (!report.problems.empty()) {
    return Status(StatusCode::kRefused, report.problems.front());
  }
  INDOUBT_RETURN_IF_ERROR(connection->EnsureLibrary());
  INDOUBT_ASSIGN_OR_RETURN(confirmation_, AskConfirmation(*connection, durability_));
  connection_ = std::move(connection);
  return Status::Ok();
}

void RedisPipeline::RunBatch(std::deque<RedisCall> batch) {
  std::deque<RedisCall> in_time;
  const TimePoint now = SystemClock().Now();
  for (RedisCall& call : batch) {
    if (now < call.deadline) {
      in_time.push_back(std::move(call));
    } else {
      call.answer(nullptr, Status(StatusCode::kDeadlineExceeded, "its deadline passed first"),
                  false);
    }
  }
  if (!in_time.empty()) SendBatch(std::move(in_time));
}

Result<std::vector<RedisReply>> RedisPipeline::Exchange(std::vector<RedisArguments> commands) {
  const auto promises = [](const RedisArguments& command) {
    return command[1] != "indoubt_work" && command[1] != "indoubt_forget";
  };
  const auto wait = confirmation_.Command();
  if (!wait || std::none_of(commands.begin(), commands.end(), promises)) {
    return connection_->Send(commands);
  }
  commands.push_back(*wait);
  INDOUBT_ASSIGN_OR_RETURN(auto replies, connection_->Send(commands));
  // Not confirmed is as if there had been no answer: a vote is unknown, a commit is
  // asked for again.
  INDOUBT_RETURN_IF_ERROR(confirmation_.Judge(*replies.back()));
  replies.pop_back();
  return replies;
}

void RedisPipeline::SendBatch(std::deque<RedisCall> batch) {
  Status status = EnsureConnected();
  if (status.ok()) status = connection_->AllowSilence(SilenceAllowed(batch));
  bool sent = false;
  for (int attempt = 0; status.ok() && attempt < 2; ++attempt) {
    sent = true;
    std::vector<RedisArguments> commands;
    commands.reserve(batch.size() + 1);
    for (const RedisCall& call : batch) commands.push_back(call.command);
    auto replies = Exchange(std::move(commands));
    if (!replies) {
      connection_.reset();
      status = replies.error();
      break;
    }
    // The library went (FUNCTION FLUSH): load it, and say the rest once more.
    std::deque<RedisCall> again;
    for (size_t i = 0; i < batch.size(); ++i) {
      if (attempt == 0 && IsMissingFunction(*(*replies)[i])) {
        again.push_back(std::move(batch[i]));
      } else {
        batch[i].answer((*replies)[i].get(), Status::Ok(), true);
      }
    }
    batch = std::move(again);
    if (batch.empty()) return;
    sent = false;  // those found no function
    status = connection_->EnsureLibrary();
    if (!status.ok()) connection_.reset();
  }
  for (RedisCall& call : batch) call.answer(nullptr, status, sent);
}

}  // namespace indoubt
