// The coordinator's side of a simulated store: an adapter that speaks to it over the
// simulated network.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "participants/participant.h"
#include "tests/simulation/network.h"
#include "tests/simulation/process.h"

namespace indoubt::simulation {

/// A statement's text is the number of the client's transaction.
class SimulatedParticipant final : public Participant {
 public:
  using Told = std::function<void(MessageKind, const Gid&)>;

  /// `told` hears of each decision that leaves; all must outlive it.
  SimulatedParticipant(size_t index, Process& process, Store& store, Network& network,
                       uint64_t& next_call, Told told);
  ~SimulatedParticipant() override;

  const std::string& name() const override { return store_.name(); }
  std::string kind() const override { return "simulated"; }
  Result<PreflightReport> Preflight(TimePoint deadline) override;
  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline) override;
  void Commit(const Gid& gid, const Token& token, TimePoint deadline,
              AckCallback done) override;
  void Rollback(const Gid& gid, const Token& token, TimePoint deadline,
                AckCallback done) override;
  Result<std::vector<PreparedBranch>> ListPrepared(TimePoint deadline) override;
  Result<std::vector<Gid>> ListOutcomes(std::string_view node, TimePoint deadline) override;
  void Forget(const Gid& gid) override;

 private:
  friend class SimulatedBranch;
  using Finish = std::function<void(const Reply&)>;
  struct Call {
    Request request;
    Finish finish;
    EventQueue::Id timeout;
    std::vector<uint64_t> after;  // calls that may be sent only once this one is over
  };

  /// Sends a request; `finish` runs once, with the first reply or without one.
  void Ask(Request request, TimePoint deadline, Finish finish);
  void SendNow(uint64_t call);
  void Over(uint64_t call, const Reply& reply);
  Result<Reply> AskAndWait(MessageKind kind, TimePoint deadline);
  void Decide(MessageKind kind, const Gid& gid, const Token& token, TimePoint deadline,
              AckCallback done);

  const size_t index_;
  Process& process_;
  Store& store_;
  Network& network_;
  uint64_t& next_call_;
  const Told told_;
  std::map<uint64_t, Call> open_;
  std::map<Gid, uint64_t> preparing_;
  // Told to replies that arrive when this is gone.
  std::shared_ptr<bool> here_ = std::make_shared<bool>(true);
};

}  // namespace indoubt::simulation
