#include "participants/redis/redis_branch.h"

#include <fmt/format.h>

#include "participants/redis/redis_answer.h"
#include "participants/redis/redis_statement.h"

namespace indoubt {
namespace {

constexpr auto kLockPoll = std::chrono::milliseconds(3);
// How long a younger branch looks whether the lock goes, too: most holders commit at once.
constexpr auto kYoungerPatience = std::chrono::milliseconds(10);

/// Wait-die: an older branch may wait for a younger one, never the other way round.
bool MayWait(const Gid& gid, const std::string& holder) {
  const auto other = BranchId::Parse(holder);
  return other && other->gid.log == gid.log && gid < other->gid;
}

Status LockedBy(const RedisAnswer& answer) {
  return Status(StatusCode::kLocked, fmt::format("key {} is held by {}, which is in doubt",
                                                 answer.reason, answer.holder));
}

using Pipeline = std::shared_ptr<RedisPipeline>;

/// A branch before its vote.
struct BranchWork {
  std::vector<Statement> statements;  // all so far
  size_t seen = 0;                    // of them evaluated by Work
  std::string digest;                 // of what those read
  Status refusal;                     // why the branch has ended
};

class RedisBranch final : public Branch {
 public:
  RedisBranch(Pipeline pipeline, BranchId id, TimePoint deadline)
      : pipeline_(std::move(pipeline)), id_(std::move(id)), deadline_(deadline) {}

  void Work(std::vector<Statement> statements, WorkCallback done) override {
    const size_t seen = work_->statements.size();
    Evaluate("indoubt_work", std::move(statements),
             [work = work_, seen, done = std::move(done)](Result<RedisAnswer> answer, bool) {
               if (!answer) {
                 work->refusal = answer.error();
                 return done(answer.error());
               }
               work->seen = work->statements.size();
               work->digest = answer->digest;
               std::vector<StatementResult> fresh(
                   answer->results.begin() + static_cast<std::ptrdiff_t>(seen),
                   answer->results.end());
               done(std::move(fresh));
             });
  }

  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    Evaluate("indoubt_prepare", std::move(last),
             [done = std::move(done)](Result<RedisAnswer> answer, bool unknown) {
               if (!answer) {
                 const VoteKind kind = unknown ? VoteKind::kUnknown : VoteKind::kNo;
                 return done({{kind, "", answer.error().message()}, {}});
               }
               const VoteKind kind =
                   answer->tag == "read_only" ? VoteKind::kReadOnly : VoteKind::kYes;
               done({{kind, "", ""}, std::move(answer->results)});
             });
  }

  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    Evaluate("indoubt_run", std::move(last),
             [done = std::move(done)](Result<RedisAnswer> answer, bool unknown) {
               if (!answer) {
                 const OnePhaseKind kind =
                     unknown ? OnePhaseKind::kUnknown : OnePhaseKind::kRolledBack;
                 return done({kind, answer.error().message(), {}});
               }
               done({OnePhaseKind::kCommitted, "", std::move(answer->results)});
             });
  }

 private:
  /// The answer, or why there is none; `unknown`: it may have taken effect.
  using Done = std::function<void(Result<RedisAnswer> answer, bool unknown)>;

  void Evaluate(const char* function, std::vector<Statement> more, Done done) {
    for (Statement& statement : more) work_->statements.push_back(std::move(statement));
    if (!work_->refusal.ok()) return done(work_->refusal, false);
    if (SystemClock().Now() >= deadline_) {
      return done(
          Status(StatusCode::kDeadlineExceeded, "the transaction's deadline has passed"),
          false);
    }
    auto arguments =
        EncodeBranchWork(id_.ToString(), work_->seen, work_->digest, work_->statements);
    if (!arguments) {
      work_->refusal = arguments.error();
      return done(work_->refusal, false);
    }
    RedisArguments command{"FCALL", function, "0"};
    command.insert(command.end(), arguments->begin(), arguments->end());
    Send(pipeline_.get(), id_.gid, deadline_, std::move(command), std::move(done), TimePoint(),
         TimePoint());
  }

  /// `patient_until` bounds the waiting of a younger one; it begins at the first lock met.
  static void Send(RedisPipeline* pipeline, const Gid& gid, TimePoint deadline,
                   RedisArguments command, Done done, TimePoint not_before,
                   TimePoint patient_until) {
    RedisCall call{deadline, command, nullptr};
    // The pointer is good: a pipeline answers all that waits before it goes.
    call.answer = [pipeline, gid, deadline, command, patient_until, done = std::move(done)](
                      const redisReply* reply, const Status& why, bool sent) mutable {
      if (reply == nullptr) return done(why, sent);
      RedisAnswer answer = DecodeAnswer(*reply);
      if (answer.tag == "locked") {
        const TimePoint now = SystemClock().Now(), again = now + kLockPoll;
        const TimePoint until =
            patient_until == TimePoint() ? now + kYoungerPatience : patient_until;
        if (again < deadline && (again < until || MayWait(gid, answer.holder))) {
          return Send(pipeline, gid, deadline, std::move(command), std::move(done), again,
                      until);
        }
      }
      if (answer.tag == "locked") return done(LockedBy(answer), false);
      if (answer.tag == "error" || answer.tag == "no") {
        return done(Status(StatusCode::kAborted, answer.reason), false);
      }
      done(std::move(answer), false);
    };
    pipeline->Submit(std::move(call), not_before);
  }

  const Pipeline pipeline_;
  const BranchId id_;
  const TimePoint deadline_;
  // The answer of a Work may still be on its way when this is gone.
  const std::shared_ptr<BranchWork> work_ = std::make_shared<BranchWork>();
};

}  // namespace

std::unique_ptr<Branch> MakeRedisBranch(std::shared_ptr<RedisPipeline> pipeline, BranchId id,
                                        TimePoint deadline) {
  return std::make_unique<RedisBranch>(std::move(pipeline), std::move(id), deadline);
}

}  // namespace indoubt
