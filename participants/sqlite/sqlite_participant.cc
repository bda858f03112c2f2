#include "participants/sqlite/sqlite_participant.h"

#include <fmt/format.h>

#include "participants/sqlite/sqlite_preflight.h"
#include "participants/sqlite/write_queue.h"

namespace indoubt {
namespace {

using sqlite::BranchWork;
using sqlite::Job;
using sqlite::JobKind;
using sqlite::WriteQueue;

class SqliteBranch : public Branch {
 public:
  SqliteBranch(std::shared_ptr<WriteQueue> queue, const Gid& gid,
               const std::string& participant, TimePoint deadline)
      : queue_(std::move(queue)),
        gid_(gid),
        deadline_(deadline),
        work_(std::make_shared<BranchWork>()) {
    work_->gid = gid.ToString();
    work_->participant = participant;
  }

  void Work(std::vector<Statement> statements, WorkCallback done) override {
    Job job = MakeJob(JobKind::kWork, std::move(statements));
    // Results of this call only; a failure ends the branch.
    job.on_work = [work = work_, before = work_->results.size(),
                   done = std::move(done)](Result<std::vector<StatementResult>> results) {
      if (!results.has_value()) {
        work->failure = results.error();
        return done(std::move(results));
      }
      const auto first = results->begin() + static_cast<std::ptrdiff_t>(before);
      done(std::vector<StatementResult>(first, results->end()));
    };
    queue_->Push(std::move(job));
  }

  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    Job job = MakeJob(JobKind::kPrepare, std::move(last));
    job.on_prepare = std::move(done);
    queue_->Push(std::move(job));
  }

  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    Job job = MakeJob(JobKind::kOnePhase, std::move(last));
    job.on_one_phase = std::move(done);
    queue_->Push(std::move(job));
  }

 private:
  Job MakeJob(JobKind kind, std::vector<Statement> statements) const {
    Job job;
    job.kind = kind;
    job.gid = gid_;
    job.deadline = deadline_;
    job.work = work_;
    job.statements = std::move(statements);
    return job;
  }

  std::shared_ptr<WriteQueue> queue_;  // a branch may outlive its participant's last call
  Gid gid_;
  TimePoint deadline_;
  std::shared_ptr<BranchWork> work_;  // the queue may still run it when this is gone
};

class SqliteParticipant : public Participant {
 public:
  explicit SqliteParticipant(const SqliteOptions& options)
      : options_(options), queue_(std::make_shared<WriteQueue>(options)) {}
  ~SqliteParticipant() override { queue_->Stop(); }

  const std::string& name() const override { return options_.name; }
  std::string kind() const override { return "sqlite"; }

  Result<PreflightReport> Preflight(TimePoint deadline) override {
    return sqlite::CheckFile(options_, deadline);
  }

  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline) override {
    return std::make_unique<SqliteBranch>(queue_, gid, options_.name, deadline);
  }

  void Commit(const Gid& gid, const Token& token, TimePoint deadline,
              AckCallback done) override {
    Decide(JobKind::kCommit, gid, token, deadline, std::move(done));
  }

  void Rollback(const Gid& gid, const Token& token, TimePoint deadline,
                AckCallback done) override {
    Decide(JobKind::kRollback, gid, token, deadline, std::move(done));
  }

  Result<std::vector<PreparedBranch>> ListPrepared(TimePoint deadline) override {
    return sqlite::ListBranches(options_, deadline);
  }

  Result<std::vector<Gid>> ListOutcomes(std::string_view node, TimePoint deadline) override {
    return sqlite::ListOutcomes(options_, node, kMostOutcomes, deadline);
  }

  void Forget(const Gid& gid) override {
    constexpr auto kPatience = std::chrono::seconds(10);
    Decide(JobKind::kForget, gid, "", SystemClock().Now() + kPatience, nullptr);
  }

 private:
  void Decide(JobKind kind, const Gid& gid, const Token& token, TimePoint deadline,
              AckCallback done) {
    Job job;
    job.kind = kind;
    job.gid = gid;
    job.deadline = deadline;
    job.token = token;
    job.on_ack = std::move(done);
    queue_->Push(std::move(job));
  }

  const SqliteOptions options_;
  std::shared_ptr<WriteQueue> queue_;
};

}  // namespace

Result<std::unique_ptr<Participant>> MakeSqliteParticipant(const SqliteOptions& options) {
  const auto wrong = [&](const char* what) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("participant {}: {}", options.name, what));
  };
  if (!IsValidName(options.name)) return wrong("the name must match [A-Za-z0-9_-]{1,32}");
  if (options.path.empty()) return wrong("path is empty; give the SQLite file's path");
  if (options.tables.empty()) {
    return wrong("tables is empty; name the tables that transactions may change");
  }
  return std::unique_ptr<Participant>(std::make_unique<SqliteParticipant>(options));
}

}  // namespace indoubt
