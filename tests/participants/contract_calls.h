// The participant's calls, made blocking for tests.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "participants/participant.h"

namespace indoubt {

/// Enough for a busy machine; nothing passes or fails by reaching it.
inline TimePoint TestDeadline(Duration from_now = std::chrono::seconds(30)) {
  return SystemClock().Now() + from_now;
}

/// A gid of a log made for this test program; every call gives another one.
inline Gid NewTestGid() {
  static const LogId log = LogId::Random();
  static uint64_t number = 0;
  return Gid{.node = "contract", .log = log, .incarnation = 1, .number = ++number};
}

inline Result<std::vector<StatementResult>> WorkNow(Branch& branch,
                                                    std::vector<Statement> statements) {
  auto reply = std::make_shared<std::promise<Result<std::vector<StatementResult>>>>();
  branch.Work(std::move(statements),
              [reply](auto result) { reply->set_value(std::move(result)); });
  return reply->get_future().get();
}

inline std::future<PrepareReply> StartPrepare(Branch& branch, std::vector<Statement> last) {
  auto reply = std::make_shared<std::promise<PrepareReply>>();
  branch.Prepare(std::move(last),
                 [reply](PrepareReply vote) { reply->set_value(std::move(vote)); });
  return reply->get_future();
}

inline PrepareReply PrepareNow(Branch& branch, std::vector<Statement> last = {}) {
  return StartPrepare(branch, std::move(last)).get();
}

/// Begins a branch of `gid` and prepares it with `statements`.
inline PrepareReply PrepareNow(Participant& participant, const Gid& gid,
                               std::vector<Statement> statements) {
  auto branch = participant.Begin(gid, TestDeadline());
  return PrepareNow(*branch, std::move(statements));
}

inline OnePhaseReply CommitOnePhaseNow(Branch& branch, std::vector<Statement> last) {
  auto reply = std::make_shared<std::promise<OnePhaseReply>>();
  branch.CommitOnePhase(std::move(last),
                        [reply](OnePhaseReply end) { reply->set_value(std::move(end)); });
  return reply->get_future().get();
}

/// The answer to `call` (a member of Branch), whose callback lets go of the branch before
/// anything else.
template <typename Reply, typename Call>
Reply CallAndLetGo(std::unique_ptr<Branch> branch, Call call, std::vector<Statement> last) {
  const auto held = std::make_shared<std::unique_ptr<Branch>>(std::move(branch));
  const auto reply = std::make_shared<std::promise<Reply>>();
  ((**held).*call)(std::move(last), [held, reply](Reply answer) {
    held->reset();
    reply->set_value(std::move(answer));
  });
  return reply->get_future().get();
}

inline std::future<Ack> StartCommit(Participant& participant, const Gid& gid,
                                    const Token& token, TimePoint deadline) {
  auto reply = std::make_shared<std::promise<Ack>>();
  participant.Commit(gid, token, deadline,
                     [reply](Ack ack) { reply->set_value(std::move(ack)); });
  return reply->get_future();
}

inline std::future<Ack> StartRollback(Participant& participant, const Gid& gid,
                                      const Token& token, TimePoint deadline) {
  auto reply = std::make_shared<std::promise<Ack>>();
  participant.Rollback(gid, token, deadline,
                       [reply](Ack ack) { reply->set_value(std::move(ack)); });
  return reply->get_future();
}

/// Asks again while the answer is kRetry, as a coordinator would.
inline Ack CommitNow(Participant& participant, const Gid& gid, const Token& token) {
  const TimePoint deadline = TestDeadline();
  for (;;) {
    Ack ack = StartCommit(participant, gid, token, deadline).get();
    if (ack.kind != AckKind::kRetry || SystemClock().Now() > deadline) return ack;
  }
}

inline Ack RollbackNow(Participant& participant, const Gid& gid, const Token& token = {}) {
  const TimePoint deadline = TestDeadline();
  for (;;) {
    Ack ack = StartRollback(participant, gid, token, deadline).get();
    if (ack.kind != AckKind::kRetry || SystemClock().Now() > deadline) return ack;
  }
}

}  // namespace indoubt
