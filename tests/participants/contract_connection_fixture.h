// What the cases of the contract over connections share: a participant whose connections
// go through a proxy, and a walk over every message of every step of a transaction.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "tests/participants/contract_fixture.h"
#include "tests/participants/contract_step.h"

namespace indoubt {

class ConnectedContract : public ParticipantContract {
 protected:
  void SetUp() override {
    ParticipantContract::SetUp();
    if (HasFatalFailure()) return;
    connected_ = dynamic_cast<ConnectedContractStore*>(&store());
    ASSERT_NE(connected_, nullptr) << "the factory's store is no ConnectedContractStore";
    proxy().Heal();
  }
  void TearDown() override {
    proxied_.reset();
    if (connected_ != nullptr) proxy().Heal();
    ParticipantContract::TearDown();
  }

  Proxy& proxy() { return connected_->proxy(); }
  ConnectedContractStore& connected() { return *connected_; }
  /// The one through the proxy; participant() goes past it.
  Participant& proxied() { return *proxied_; }

  /// A fresh store, proxy and participants, for one more round of a case.
  void StartOver() {
    proxied_.reset();
    EndParticipant();
    proxy().Heal();
    const Status reset = store().Reset();
    ASSERT_TRUE(reset.ok()) << reset.ToString();
    ReplaceParticipant();
    proxied_ = connected().MakeProxied();
  }
  void EndProxied() { proxied_.reset(); }
  void ReplaceProxied() {
    proxied_.reset();
    proxied_ = connected().MakeProxied();
  }

  /// What the stores must hold when `transaction` has been settled.
  void ExpectSettled(std::optional<bool> written) {
    if (written && *written) ExpectWritten();
    if (written && !*written) ExpectNothingWritten();
    if (!written) {
      // Either way, but whole; a server may still be committing what a lost client sent.
      EXPECT_TRUE(
          Eventually([&] { return (store().Look("a") == 105) == (store().Look("new") == 1); }));
    }
    ExpectNothingPrepared();
    ExpectNoLockLeft();
  }

  /// A no is final at once, a done and a committed are true at once.
  void ExpectTrueAlready(const Told& told, Step step) {
    if (told.vote && told.vote->kind == VoteKind::kNo) {
      EXPECT_TRUE(Listed().empty()) << "voted no (" << told.vote->reason << ") and is prepared";
    }
    const bool committed =
        (told.one_phase && told.one_phase->kind == OnePhaseKind::kCommitted) ||
        (told.ack && told.ack->kind == AckKind::kDone && step == Step::kCommit);
    if (committed) ExpectWritten();
    if (told.ack && told.ack->kind == AckKind::kDone && step == Step::kRollback) {
      EXPECT_TRUE(Listed().empty());
    }
  }

  /// Runs `round` for the first, second, ... message in `direction` of each step until a
  /// step has no such message; returns how many there were. `round` takes the step with the
  /// trigger armed, and returns whether it struck.
  using Round = std::function<bool(Step, const ProxyTrigger&)>;
  int ForEachMessage(ProxyTrigger trigger, const Round& round) {
    int struck = 0;
    for (const Step step : kAllSteps) {
      for (trigger.turn = 1;; ++trigger.turn) {
        SCOPED_TRACE(std::string(ToString(step)) + ", " +
                     (trigger.direction == Direction::kToServer ? "request " : "reply ") +
                     std::to_string(trigger.turn));
        StartOver();
        if (HasFatalFailure() || !round(step, trigger) || HasFailure()) break;
        ++struck;
        if (trigger.turn > 50) ADD_FAILURE() << "a step of more than 50 messages";
      }
      if (HasFailure()) return struck;
    }
    return struck;
  }

  int ForEachMessageBothWays(ProxyAction action, const Round& round) {
    return ForEachMessage({.direction = Direction::kToServer, .action = action}, round) +
           ForEachMessage({.direction = Direction::kToClient, .action = action}, round);
  }
  /// Waits until the trigger has struck, or the step has ended without.
  bool AwaitStrikeOrEnd(const std::future<Told>& taken) {
    const bool either = Eventually([&] {
      return proxy().strike() ||
             taken.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
    EXPECT_TRUE(either) << "a step without an end";
    return proxy().strike().has_value();
  }

  static constexpr auto kAmple = std::chrono::seconds(10);

 private:
  ConnectedContractStore* connected_ = nullptr;
  std::unique_ptr<Participant> proxied_;
};

}  // namespace indoubt
