// The coordinator's side of a simulated store: an adapter that speaks to it over the
// simulated network. It may be a last resource.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "participants/last_resource.h"
#include "tests/simulation/network.h"
#include "tests/simulation/process.h"

namespace indoubt::simulation {

/// A statement's text is the number of the client's transaction.
class SimulatedParticipant final : public Participant, public LastResource {
 public:
  using Told = std::function<void(MessageKind, const Gid&)>;

  /// `told` hears of each decision that leaves; all must outlive it.
  SimulatedParticipant(size_t index, bool is_last_resource, Process& process, Store& store,
                       Network& network, uint64_t& next_call, Told told);
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

  LastResource* last_resource() override { return is_last_resource_ ? this : nullptr; }
  std::string home() const override { return home_; }
  std::unique_ptr<LastResourceBranch> BeginLast(const Gid& gid, TimePoint deadline) override;
  void Ask(const Gid& gid, TimePoint deadline, StandingCallback done) override;
  Result<std::vector<Decision>> ListDecisions(std::string_view node, const LogId& log,
                                              uint32_t incarnation,
                                              TimePoint deadline) override;
  void ForgetDecisions(std::vector<Gid> gids, TimePoint deadline, DoneCallback done) override;
  Status CloseBelow(const Gid& floor, TimePoint deadline) override;

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
  void Send(Request request, TimePoint deadline, Finish finish);
  void SendNow(uint64_t call);
  void Over(uint64_t call, const Reply& reply);
  Result<Reply> SendAndWait(Request request, TimePoint deadline);
  void Decide(MessageKind kind, const Gid& gid, const Token& token, TimePoint deadline,
              AckCallback done);

  const size_t index_;
  const bool is_last_resource_;
  std::string home_;  // once a preflight has found the decision table
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
