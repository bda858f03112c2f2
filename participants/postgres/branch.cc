#include "participants/postgres/branch.h"

#include "participants/postgres/branch_state.h"

namespace indoubt::pg {
namespace {

constexpr const char* kShutDown = "the participant is shut down";

PrepareReply ToPrepareReply(Finished finished) {
  PrepareReply reply;
  reply.results = std::move(finished.results);
  switch (finished.kind) {
    case Finished::Kind::kDone:
      reply.vote = {VoteKind::kYes, std::move(finished.token), ""};
      return reply;
    case Finished::Kind::kReadOnly:
      reply.vote = {VoteKind::kReadOnly, "", ""};
      return reply;
    case Finished::Kind::kNo:
      reply.vote = {VoteKind::kNo, "", std::move(finished.reason)};
      return reply;
    case Finished::Kind::kUnknown:
      break;
  }
  reply.vote = {VoteKind::kUnknown, "", std::move(finished.reason)};
  return reply;
}

OnePhaseReply ToOnePhaseReply(Finished finished) {
  OnePhaseReply reply{OnePhaseKind::kUnknown, std::move(finished.reason),
                      std::move(finished.results)};
  switch (finished.kind) {
    case Finished::Kind::kDone:
    case Finished::Kind::kReadOnly:
      reply.kind = OnePhaseKind::kCommitted;
      break;
    case Finished::Kind::kNo:
      reply.kind = OnePhaseKind::kRolledBack;
      break;
    case Finished::Kind::kUnknown:
      break;
  }
  return reply;
}

/// Hands every call over to the state on the pool's thread.
class PostgresBranch : public LastResourceBranch {
 public:
  PostgresBranch(std::shared_ptr<Core> core, const Gid& gid, TimePoint deadline)
      : core_(std::move(core)), state_(std::make_shared<BranchState>(core_, gid, deadline)) {}

  ~PostgresBranch() override {
    if (state_->over()) return;  // without waking the pool's thread
    core_->pool.Post([state = state_] { state->Abandon(); });
  }

  void Work(std::vector<Statement> statements, WorkCallback done) override {
    const bool posted = core_->pool.Post([state = state_, statements, done]() mutable {
      state->Work(std::move(statements), std::move(done));
    });
    if (!posted) done(Status(StatusCode::kUnavailable, kShutDown));
  }

  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    const auto finished = [done = std::move(done)](Finished end) {
      done(ToPrepareReply(std::move(end)));
    };
    Finish(Ending::kPrepare, std::move(last), finished);
  }

  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    const auto finished = [done = std::move(done)](Finished end) {
      done(ToOnePhaseReply(std::move(end)));
    };
    Finish(Ending::kCommit, std::move(last), finished);
  }

  void CommitDecision(std::vector<Statement> last, std::vector<BranchRecord> others,
                      OnePhaseCallback done) override {
    const auto shared =
        std::make_shared<std::pair<std::vector<Statement>, std::vector<BranchRecord>>>(
            std::move(last), std::move(others));
    const FinishedCallback finished = [done = std::move(done)](Finished end) {
      done(ToOnePhaseReply(std::move(end)));
    };
    const bool posted = core_->pool.Post([state = state_, shared, finished] {
      state->Decide(std::move(shared->first), std::move(shared->second), finished);
    });
    if (!posted) finished({.kind = Finished::Kind::kNo, .reason = kShutDown});
  }

 private:
  void Finish(Ending ending, std::vector<Statement> last, const FinishedCallback& done) {
    const auto statements = std::make_shared<std::vector<Statement>>(std::move(last));
    const bool posted = core_->pool.Post([state = state_, ending, statements, done] {
      state->Finish(ending, std::move(*statements), done);
    });
    if (posted) return;
    done({.kind = Finished::Kind::kNo, .reason = kShutDown});
  }

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<BranchState> state_;
};

}  // namespace

std::unique_ptr<LastResourceBranch> MakeBranch(std::shared_ptr<Core> core, const Gid& gid,
                                               TimePoint deadline) {
  return std::make_unique<PostgresBranch>(std::move(core), gid, deadline);
}

}  // namespace indoubt::pg
