// What a coordinator's process and a store say to each other.
#pragma once

#include <string>
#include <vector>

#include "participants/last_resource.h"
#include "tests/simulation/nature.h"

namespace indoubt::simulation {

struct Request {
  MessageKind kind = MessageKind::kPreflight;
  Gid gid;
  Token token;
  uint64_t call = 0;                   // of whoever asks; the same in a duplicate
  uint64_t session = 0;                // work and prepare belong to the store's session
  int order = -1;                      // of a prepare: which of the clients' transactions
  std::vector<BranchRecord> others{};  // of a decision: who voted yes
  std::vector<Gid> gids{};             // of decisions to forget
};

struct Reply {
  bool answered = false;  // false: the store could not be reached, or the answer was lost
  Vote vote;
  OnePhaseKind one_phase = OnePhaseKind::kUnknown;
  Ack ack;
  std::vector<PreparedBranch> prepared;
  std::vector<Gid> outcomes;  // of commits, that are not forgotten
  StandingDecision standing;
  std::vector<Decision> rows;
};

}  // namespace indoubt::simulation
