// A simulated store: the server's side of a participant that keeps the promise of
// participants/participant.h, and that may crash.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/invariants.h"
#include "tests/simulation/message.h"

namespace indoubt::simulation {

class Store {
 public:
  /// `nature` and `invariants` must outlive it.
  Store(size_t index, std::string name, size_t token_bytes, Nature& nature,
        Invariants& invariants)
      : index_(index),
        name_(std::move(name)),
        token_bytes_(token_bytes),
        nature_(nature),
        invariants_(invariants) {}

  const std::string& name() const { return name_; }
  bool up() const { return up_; }
  uint64_t session() const { return session_; }
  const std::map<Gid, Token>& prepared() const { return prepared_; }
  /// Whose commit it still remembers.
  std::vector<Gid> outcomes() const;

  /// Does what is asked, durably, and answers. None: the request belongs to a session
  /// that is over, or is a prepare that came before.
  std::optional<Reply> Handle(const Request& request);

  /// What is prepared or ended survives; sessions do not.
  void Crash() {
    up_ = false;
    ++session_;
    calls_seen_.clear();
  }
  void Start() { up_ = true; }
  /// A person resolves a prepared branch; false when it is not there.
  bool ResolveByHand(const Gid& gid, bool commit);

 private:
  struct Ended {
    bool committed = false;
    bool by_hand = false;
  };

  std::optional<Reply> Prepare(const Request& request);
  std::optional<Reply> OnePhase(const Request& request);
  Reply Decide(const Request& request, bool commit);
  Reply List() const;

  const size_t index_;
  const std::string name_;
  const size_t token_bytes_;
  Nature& nature_;
  Invariants& invariants_;

  bool up_ = true;
  uint64_t session_ = 1;
  std::set<uint64_t> calls_seen_;  // of this session
  std::map<Gid, Token> prepared_;  // durable
  std::map<Gid, Ended> ended_;     // durable, until Forget
};

}  // namespace indoubt::simulation
