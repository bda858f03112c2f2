// A simulated store: the server's side of a participant that keeps the promise of
// participants/participant.h, and that may crash.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/decision_table.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/invariants.h"
#include "tests/simulation/message.h"

namespace indoubt::simulation {

class Store {
 public:
  /// What it refers to must outlive it.
  Store(size_t index, std::string name, size_t token_bytes, EventQueue& events, Nature& nature,
        Invariants& invariants)
      : index_(index),
        name_(std::move(name)),
        token_bytes_(token_bytes),
        events_(events),
        nature_(nature),
        invariants_(invariants) {}

  const std::string& name() const { return name_; }
  bool up() const { return up_; }
  uint64_t session() const { return session_; }
  const std::map<Gid, Token>& prepared() const { return prepared_; }
  /// Whose commit it still remembers.
  std::vector<Gid> outcomes() const;
  const DecisionTable& decisions() const { return decisions_; }

  using OnHandled = std::function<void(std::optional<Reply>)>;
  /// Does what is asked, durably, and answers, at once or later. None: the request belongs to a
  /// session that is over, or is a prepare or a commit of its own that came before.
  void Handle(const Request& request, const OnHandled& done);

  /// What is prepared or ended survives; sessions and what is under way do not.
  void Crash() {
    up_ = false;
    ++session_;
    calls_seen_.clear();
    decisions_.RollBackUnderWay();
  }
  void Start() { up_ = true; }
  /// A person resolves a prepared branch; false when it is not there.
  bool ResolveByHand(const Gid& gid, bool commit);

 private:
  struct Ended {
    bool committed = false;
    bool by_hand = false;
  };

  std::optional<Reply> HandleNow(const Request& request);
  std::optional<Reply> Prepare(const Request& request);
  std::optional<Reply> OnePhase(const Request& request);
  void CommitDecision(const Request& request, const OnHandled& done);
  Reply EndDecision(const Request& request, bool commits);
  Reply Decide(const Request& request, bool commit);
  Reply List() const;
  Reply ListRows() const;
  void ForgetRows(const std::vector<Gid>& gids);

  const size_t index_;
  const std::string name_;
  const size_t token_bytes_;
  EventQueue& events_;
  Nature& nature_;
  Invariants& invariants_;

  bool up_ = true;
  uint64_t session_ = 1;
  std::set<uint64_t> calls_seen_;  // of this session
  std::map<Gid, Token> prepared_;  // durable
  std::map<Gid, Ended> ended_;     // durable, until Forget
  DecisionTable decisions_;        // durable; used where it is a last resource
};

}  // namespace indoubt::simulation
