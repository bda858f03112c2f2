// A real participant whose prepares pass a gate of the test's, which may hold them
// back on their way to the store: so two transactions can be made to meet.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "participants/participant.h"

namespace indoubt {

/// Sends the prepare that was asked for to the store, at once or later, on any thread.
/// `done` may be wrapped, and must be called once.
using PrepareGate = std::function<void(std::shared_ptr<Branch> branch,
                                       std::vector<Statement> last, PrepareCallback done)>;

class GatedBranch final : public Branch {
 public:
  GatedBranch(std::unique_ptr<Branch> branch, const PrepareGate& gate)
      : branch_(std::move(branch)), gate_(gate) {}
  void Work(std::vector<Statement> statements, WorkCallback done) override {
    branch_->Work(std::move(statements), std::move(done));
  }
  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    gate_(branch_, std::move(last), std::move(done));
  }
  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    branch_->CommitOnePhase(std::move(last), std::move(done));
  }

 private:
  const std::shared_ptr<Branch> branch_;  // shared with a prepare that is held
  const PrepareGate& gate_;
};

/// Thread-safe when `gate` is.
class GatedParticipant final : public Participant {
 public:
  GatedParticipant(std::unique_ptr<Participant> store, PrepareGate gate)
      : store_(std::move(store)), gate_(std::move(gate)) {}
  const std::string& name() const override { return store_->name(); }
  std::string kind() const override { return store_->kind(); }
  Result<PreflightReport> Preflight(TimePoint deadline) override {
    return store_->Preflight(deadline);
  }
  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline) override {
    return std::make_unique<GatedBranch>(store_->Begin(gid, deadline), gate_);
  }
  void Commit(const Gid& gid, const Token& token, TimePoint deadline,
              AckCallback done) override {
    store_->Commit(gid, token, deadline, std::move(done));
  }
  void Rollback(const Gid& gid, const Token& token, TimePoint deadline,
                AckCallback done) override {
    store_->Rollback(gid, token, deadline, std::move(done));
  }
  Result<std::vector<PreparedBranch>> ListPrepared(TimePoint deadline) override {
    return store_->ListPrepared(deadline);
  }
  void Forget(const Gid& gid) override { store_->Forget(gid); }

 private:
  const std::unique_ptr<Participant> store_;
  const PrepareGate gate_;
};

}  // namespace indoubt
