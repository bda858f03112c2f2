#include "participants/postgres/postgres_participant.h"

#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "participants/postgres/branch.h"
#include "participants/postgres/core.h"
#include "participants/postgres/decision_door.h"
#include "participants/postgres/listing.h"
#include "participants/postgres/phase_two.h"
#include "participants/postgres/preflight.h"

namespace indoubt {
namespace {

/// What a PostgreSQL participant offers as a last resource. Thread-safe.
class DecisionTable : public LastResource {
 public:
  explicit DecisionTable(std::shared_ptr<pg::Core> core) : core_(std::move(core)) {}

  std::string home() const override {
    const std::lock_guard lock(mutex_);
    return home_;
  }
  /// What a preflight found; "" when it could not find out leaves the last one.
  void SetHome(const std::string& home) {
    const std::lock_guard lock(mutex_);
    if (!home.empty()) home_ = home;
  }

  std::unique_ptr<LastResourceBranch> BeginLast(const Gid& gid, TimePoint deadline) override {
    return pg::MakeBranch(core_, gid, deadline);
  }
  void Ask(const Gid& gid, TimePoint deadline, StandingCallback done) override {
    {
      const std::lock_guard lock(mutex_);
      abort_rows_ = true;
    }
    pg::AskStanding(core_, gid, deadline, std::move(done));
  }
  Result<std::vector<Decision>> ListDecisions(std::string_view node, const LogId& log,
                                              uint32_t incarnation,
                                              TimePoint deadline) override {
    return pg::ListDecisions(core_, node, log, incarnation, deadline);
  }
  void ForgetDecisions(std::vector<Gid> gids, TimePoint deadline, DoneCallback done) override {
    pg::ForgetDecisions(core_, gids, deadline, std::move(done));
  }
  Status CloseBelow(const Gid& floor, TimePoint deadline) override {
    {
      const std::lock_guard lock(mutex_);
      if (!std::exchange(abort_rows_, false)) return Status::Ok();
    }
    const Result<int> left = pg::CloseBelow(core_, floor, deadline);
    const std::lock_guard lock(mutex_);
    if (!left || *left > 0) abort_rows_ = true;
    return left.status();
  }

 private:
  const std::shared_ptr<pg::Core> core_;
  mutable std::mutex mutex_;
  std::string home_;  // guarded by mutex_
  /// There may be abort rows, or an earlier incarnation's commits to close.
  bool abort_rows_ = true;  // guarded by mutex_
};

class PostgresParticipant : public Participant {
 public:
  PostgresParticipant(const PostgresOptions& options, pg::ConnectionString where)
      : max_connections_(options.max_connections),
        core_(std::make_shared<pg::Core>(options.name, std::move(where),
                                         options.max_connections, !options.last_resource)),
        decisions_(options.last_resource ? std::make_unique<DecisionTable>(core_) : nullptr) {}
  // Branches may outlive this object and share the core; its thread ends here.
  ~PostgresParticipant() override { core_->pool.Stop(); }

  const std::string& name() const override { return core_->name; }
  std::string kind() const override { return "postgres"; }

  Result<PreflightReport> Preflight(TimePoint deadline) override {
    std::string home;
    auto report = pg::Preflight(core_->pool.where(), max_connections_, deadline,
                                decisions_ ? &home : nullptr);
    if (decisions_) decisions_->SetHome(home);
    return report;
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

  LastResource* last_resource() override { return decisions_.get(); }

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
  const std::unique_ptr<DecisionTable> decisions_;  // null: no last resource
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
