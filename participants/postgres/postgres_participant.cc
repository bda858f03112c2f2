#include "participants/postgres/postgres_participant.h"

#include <fmt/format.h>

#include "participants/postgres/branch.h"
#include "participants/postgres/core.h"
#include "participants/postgres/listing.h"
#include "participants/postgres/phase_two.h"
#include "participants/postgres/preflight.h"

namespace indoubt {
namespace {

class PostgresParticipant : public Participant {
 public:
  PostgresParticipant(const PostgresOptions& options, pg::ConnectionString where)
      : max_connections_(options.max_connections),
        core_(std::make_shared<pg::Core>(options.name, std::move(where),
                                         options.max_connections)) {}
  // Branches may outlive this object and share the core; its thread ends here.
  ~PostgresParticipant() override { core_->pool.Stop(); }

  const std::string& name() const override { return core_->name; }
  std::string kind() const override { return "postgres"; }

  Result<PreflightReport> Preflight(TimePoint deadline) override {
    return pg::Preflight(core_->pool.where(), max_connections_, deadline);
  }

  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline) override {
    return pg::MakeBranch(core_, gid, deadline);
  }

  void Commit(const Gid& gid, const Token& token, TimePoint deadline,
              AckCallback done) override {
    Decide(pg::SecondPhase::kCommit, gid, token, deadline, done);
  }

  void Rollback(const Gid& gid, const Token& token, TimePoint deadline,
                AckCallback done) override {
    Decide(pg::SecondPhase::kRollback, gid, token, deadline, done);
  }

  Result<std::vector<PreparedBranch>> ListPrepared(TimePoint deadline) override {
    return pg::ListPrepared(*core_, deadline);
  }

  // PostgreSQL keeps nothing of an ended branch that could be forgotten.
  void Forget(const Gid&) override {}

 private:
  void Decide(pg::SecondPhase decision, const Gid& gid, const Token& token, TimePoint deadline,
              const AckCallback& done) {
    const std::string branch = BranchId{gid, core_->name}.ToString();
    const bool posted =
        core_->pool.Post([core = core_, decision, branch, token, deadline, done] {
          pg::Decide(core, decision, branch, token, deadline, done);
        });
    if (!posted) done({AckKind::kRetry, "the participant is shut down"});
  }

  const int max_connections_;
  const std::shared_ptr<pg::Core> core_;
};

}  // namespace

Result<std::unique_ptr<Participant>> MakePostgresParticipant(const PostgresOptions& options) {
  if (!IsValidName(options.name)) {
    return Status(StatusCode::kInvalidArgument,
                  "a participant's name is 1 to 32 of A-Z a-z 0-9 _ -");
  }
  const std::string context = fmt::format("participant {}", options.name);
  if (options.max_connections < 2) {
    return Status(StatusCode::kInvalidArgument,
                  context + ": max_connections must be at least 2 (one is kept for commits)");
  }
  auto where = pg::ConnectionString::Parse(options.dsn);
  if (!where) return where.error().WithContext(context);
  return std::unique_ptr<Participant>(
      std::make_unique<PostgresParticipant>(options, *std::move(where)));
}

}  // namespace indoubt
