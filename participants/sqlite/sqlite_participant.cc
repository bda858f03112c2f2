#include "participants/sqlite/sqlite_participant.h"

#include <filesystem>
#include <future>

#include <fmt/format.h>
#include <sys/vfs.h>

#include "participants/sqlite/writer.h"

namespace indoubt {
namespace {

constexpr long kTmpfsMagic = 0x01021994;

/// What a job found out, between its run and its answer.
struct Found {
  Captured captured;
  Status refusal;
  bool read_only = false;
  Ack ack;
  std::vector<std::string> listed;
};

/// The age rule against deadlock: an older branch may wait for a younger one, a
/// younger one never for an older (wait-die).
bool MayWait(const Gid& gid, const std::string& holder) {
  const auto other = BranchId::Parse(holder);
  return other && other->gid.log == gid.log && gid < other->gid;
}

class SqliteBranch final : public Branch {
 public:
  SqliteBranch(std::shared_ptr<SqliteWriter> writer, BranchId id, TimePoint deadline)
      : writer_(std::move(writer)), id_(std::move(id)), deadline_(deadline) {}

  void Work(std::vector<Statement> statements, WorkCallback done) override {
    Status ended = CheckAlive();
    if (!ended.ok()) return done(ended);
    auto found = std::make_shared<Found>();
    writer_->Submit({deadline_,
                     [this, found, statements = std::move(statements)](WriterContext& context) {
                       found->refusal = Capture(context, statements, found->captured);
                       return WriterJob::Next::kUndo;
                     },
                     [this, found, done = std::move(done)](const Status& status, bool) {
                       const Status end = status.ok() ? found->refusal : status;
                       if (!end.ok()) {
                         refusal_ = end;
                         return done(end);
                       }
                       work_ = found->captured.changeset;
                       results_.insert(results_.end(), found->captured.results.begin(),
                                       found->captured.results.end());
                       done(std::move(found->captured.results));
                     }});
  }

  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    const Status ended = CheckAlive();
    if (!ended.ok()) return done({{VoteKind::kNo, "", ended.message()}, {}});
    auto found = std::make_shared<Found>();
    writer_->Submit(
        {deadline_,
         [this, found, last = std::move(last)](WriterContext& context) {
           return RunPrepare(context, last, *found);
         },
         [this, found, done = std::move(done)](const Status& status, bool unknown) {
           const Status end = status.ok() ? found->refusal : status;
           if (!end.ok()) {
             return done(
                 {{unknown ? VoteKind::kUnknown : VoteKind::kNo, "", end.message()}, {}});
           }
           const VoteKind vote = found->read_only ? VoteKind::kReadOnly : VoteKind::kYes;
           done({{vote, "", ""}, AllResults(std::move(found->captured.results))});
         }});
  }

  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    const Status ended = CheckAlive();
    if (!ended.ok()) return done({OnePhaseKind::kRolledBack, ended.message(), {}});
    auto found = std::make_shared<Found>();
    writer_->Submit(
        {deadline_,
         [this, found, last = std::move(last)](WriterContext& context) {
           const WriterJob::Next next = Hold(context, last, *found);
           if (next != WriterJob::Next::kDone) return next;
           found->refusal = ApplyChangeset(context.database, found->captured.changeset);
           return found->refusal.ok() ? WriterJob::Next::kDone : WriterJob::Next::kUndo;
         },
         [this, found, done = std::move(done)](const Status& status, bool unknown) {
           const Status end = status.ok() ? found->refusal : status;
           if (end.ok()) {
             return done({OnePhaseKind::kCommitted, "",
                          AllResults(std::move(found->captured.results))});
           }
           done({unknown ? OnePhaseKind::kUnknown : OnePhaseKind::kRolledBack,
                 end.message(),
                 {}});
         }});
  }

 private:
  Status CheckAlive() {
    if (refusal_.ok() && SystemClock().Now() >= deadline_) {
      refusal_ = Status(StatusCode::kDeadlineExceeded, "the transaction's deadline has passed");
    }
    return refusal_;
  }

  Status Capture(WriterContext& context, const std::vector<Statement>& statements,
                 Captured& to) const {
    auto captured = CaptureWork(context.database, context.tables, work_, statements);
    if (!captured) return captured.error();
    to = std::move(*captured);
    return Status::Ok();
  }

  /// Those of earlier batches, and these.
  std::vector<StatementResult> AllResults(std::vector<StatementResult> last) const {
    std::vector<StatementResult> all = results_;
    all.insert(all.end(), last.begin(), last.end());
    return all;
  }

  /// Captures the work and looks whether its keys are free.
  WriterJob::Next Hold(WriterContext& context, const std::vector<Statement>& statements,
                       Found& found) const {
    found = Found();
    if (SystemClock().Now() >= deadline_ || context.rolled_back.contains(id_.ToString())) {
      found.refusal = Status(StatusCode::kDeadlineExceeded,
                             "the transaction's deadline passed while it waited for a row");
      return WriterJob::Next::kUndo;
    }
    found.refusal = Capture(context, statements, found.captured);
    if (!found.refusal.ok()) return WriterJob::Next::kUndo;
    if (found.captured.changeset.empty()) {
      found.read_only = true;
      return WriterJob::Next::kUndo;
    }
    auto holder = context.store.FindHolder(id_.ToString(), found.captured.keys);
    if (!holder) {
      found.refusal = holder.error();
      return WriterJob::Next::kUndo;
    }
    if (!holder->has_value()) return WriterJob::Next::kDone;
    const Holder& other = **holder;
    if (MayWait(id_.gid, other.branch) && SystemClock().Now() < deadline_) {
      return WriterJob::Next::kWait;
    }
    found.refusal =
        Status(StatusCode::kLocked,
               fmt::format("{} is held by {}, which is in doubt", other.what, other.branch));
    return WriterJob::Next::kUndo;
  }

  WriterJob::Next RunPrepare(WriterContext& context, const std::vector<Statement>& statements,
                             Found& found) const {
    const WriterJob::Next next = Hold(context, statements, found);
    if (next != WriterJob::Next::kDone) return next;
    found.refusal = context.store.Store(id_.ToString(), found.captured);
    return found.refusal.ok() ? WriterJob::Next::kDone : WriterJob::Next::kUndo;
  }

  const std::shared_ptr<SqliteWriter> writer_;  // shared with the participant
  const BranchId id_;
  const TimePoint deadline_;
  std::string work_;                      // changeset of earlier batches
  std::vector<StatementResult> results_;  // of earlier batches
  Status refusal_;                        // why the branch has ended
};

class SqliteParticipant final : public Participant {
 public:
  explicit SqliteParticipant(SqliteOptions options)
      : options_(std::move(options)), writer_(std::make_shared<SqliteWriter>(options_)) {}
  ~SqliteParticipant() override { writer_->Stop(); }

  const std::string& name() const override { return options_.name; }
  std::string kind() const override { return "sqlite"; }

  Result<PreflightReport> Preflight(TimePoint deadline) override {
    PreflightReport report;
    report.version = fmt::format("SQLite {}", sqlite3_libversion());
    INDOUBT_RETURN_IF_ERROR(
        writer_->Check(deadline, report.problems).WithContext("SQLite " + options_.path));
    struct statfs info {};
    if (statfs(options_.path.c_str(), &info) == 0 && info.f_type == kTmpfsMagic) {
      report.problems.push_back(
          "the file is on tmpfs, which keeps nothing over a power cut; "
          "move it to a disk");
    }
    return report;
  }

  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline) override {
    return std::make_unique<SqliteBranch>(writer_, BranchId{gid, options_.name}, deadline);
  }

  void Commit(const Gid& gid, const Token&, TimePoint deadline, AckCallback done) override {
    auto found = std::make_shared<Found>();
    writer_->Submit({deadline,
                     [found, branch = Name(gid)](WriterContext& context) {
                       auto ack = context.store.Commit(branch);
                       found->ack = ack ? *ack : Ack{AckKind::kRetry, ack.error().message()};
                       return found->ack.kind == AckKind::kDone ? WriterJob::Next::kDone
                                                                : WriterJob::Next::kUndo;
                     },
                     [found, done = std::move(done)](const Status& status, bool) {
                       done(status.ok() ? found->ack : Ack{AckKind::kRetry, status.message()});
                     }});
  }

  void Rollback(const Gid& gid, const Token&, TimePoint deadline, AckCallback done) override {
    auto found = std::make_shared<Found>();
    writer_->Submit({deadline,
                     [found, branch = Name(gid)](WriterContext& context) {
                       context.rolled_back.insert(branch);
                       const auto prepared = context.store.IsPrepared(branch);
                       Status status = prepared.status();
                       if (prepared && !*prepared) {
                         found->ack = {AckKind::kDone, ""};
                         return WriterJob::Next::kUndo;
                       }
                       if (status.ok()) status = context.store.Rollback(branch);
                       found->ack = status.ok() ? Ack{AckKind::kDone, ""}
                                                : Ack{AckKind::kRetry, status.message()};
                       return status.ok() ? WriterJob::Next::kDone : WriterJob::Next::kUndo;
                     },
                     [found, done = std::move(done)](const Status& status, bool) {
                       done(status.ok() ? found->ack : Ack{AckKind::kRetry, status.message()});
                     }});
  }

  Result<std::vector<PreparedBranch>> ListPrepared(TimePoint deadline) override {
    auto found = std::make_shared<Found>();
    auto answered = std::make_shared<std::promise<Status>>();
    std::future<Status> future = answered->get_future();
    writer_->Submit({deadline,
                     [found](WriterContext& context) {
                       auto listed = context.store.List();
                       found->refusal = listed.status();
                       if (listed) found->listed = std::move(*listed);
                       return WriterJob::Next::kUndo;
                     },
                     [answered](const Status& status, bool) { answered->set_value(status); }});
    INDOUBT_RETURN_IF_ERROR(future.get().WithContext(options_.name));
    INDOUBT_RETURN_IF_ERROR(found->refusal.WithContext(options_.name));
    std::vector<PreparedBranch> branches;
    for (const std::string& text : found->listed) {
      auto id = BranchId::Parse(text);
      if (id) branches.push_back({std::move(*id), ""});
    }
    return branches;
  }

  void Forget(const Gid& gid) override { writer_->ForgetLater(Name(gid)); }

 private:
  std::string Name(const Gid& gid) const { return BranchId{gid, options_.name}.ToString(); }

  const SqliteOptions options_;
  std::shared_ptr<SqliteWriter> writer_;  // shared with the branches, which may outlive a call
};

}  // namespace

Result<std::unique_ptr<Participant>> MakeSqliteParticipant(const SqliteOptions& options) {
  if (!IsValidName(options.name)) {
    return Status(StatusCode::kInvalidArgument,
                  "a participant's name is 1 to 32 of [A-Za-z0-9_-]");
  }
  if (options.path.empty() || options.tables.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "a sqlite participant needs a path and at least one table");
  }
  return std::unique_ptr<Participant>(std::make_unique<SqliteParticipant>(options));
}

}  // namespace indoubt
