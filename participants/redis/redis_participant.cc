#include "participants/redis/redis_participant.h"

#include <fmt/format.h>

#include "base/text.h"
#include "participants/redis/redis_inspection.h"
#include "participants/redis/redis_pipeline.h"
#include "participants/redis/redis_statement.h"

namespace indoubt {
namespace {

constexpr auto kLockPoll = std::chrono::milliseconds(3);
// How long a younger branch looks whether the lock goes, too: most holders commit at once.
constexpr auto kYoungerPatience = std::chrono::milliseconds(10);
constexpr auto kForgetLimit = std::chrono::seconds(5);

/// An answer of the library's: {tag, ...}, or the server's own error.
struct Answer {
  std::string tag;                       // "error" for the server's own
  std::string reason;                    // or the locked key
  std::string holder;                    // with "locked"
  std::vector<StatementResult> results;  // with "yes", "read_only", "worked"
  std::string digest;                    // with "worked"
};

Answer Decode(const redisReply& reply) {
  Answer answer;
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements == 0) {
    return {"error", OneLine(Text(reply)), "", {}, ""};
  }
  answer.tag = Text(*reply.element[0]);
  if (reply.elements < 2) return answer;
  if (reply.element[1]->type == REDIS_REPLY_ARRAY) {
    answer.results = DecodeResults(*reply.element[1]);
  } else {
    answer.reason = OneLine(Text(*reply.element[1]));
  }
  if (reply.elements > 2) {
    (answer.tag == "locked" ? answer.holder : answer.digest) = Text(*reply.element[2]);
  }
  return answer;
}

/// Wait-die: an older branch may wait for a younger one, never the other way round.
bool MayWait(const Gid& gid, const std::string& holder) {
  const auto other = BranchId::Parse(holder);
  return other && other->gid.log == gid.log && gid < other->gid;
}

Status LockedBy(const Answer& answer) {
  return Status(StatusCode::kLocked, fmt::format("key {} is held by {}, which is in doubt",
                                                 answer.reason, answer.holder));
}

using Pipeline = std::shared_ptr<RedisPipeline>;  // shared by participant and branches

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
             [work = work_, seen, done = std::move(done)](Result<Answer> answer, bool) {
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
             [done = std::move(done)](Result<Answer> answer, bool unknown) {
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
             [done = std::move(done)](Result<Answer> answer, bool unknown) {
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
  using Done = std::function<void(Result<Answer> answer, bool unknown)>;

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
      Answer answer = Decode(*reply);
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

class RedisParticipant final : public Participant {
 public:
  RedisParticipant(RedisOptions options, RedisAddress address)
      : options_(std::move(options)), address_(std::move(address)) {
    for (int i = 0; i < std::max(1, options_.connections); ++i) {
      pipelines_.push_back(std::make_shared<RedisPipeline>(address_, options_.durability));
    }
  }

  ~RedisParticipant() override {
    // A branch may still share a pipeline; no callback may run after this.
    for (const Pipeline& pipeline : pipelines_) pipeline->Stop();
  }

  const std::string& name() const override { return options_.name; }
  std::string kind() const override { return "redis"; }

  Result<PreflightReport> Preflight(TimePoint deadline) override {
    INDOUBT_ASSIGN_OR_RETURN(const auto connection, Connect(deadline));
    INDOUBT_ASSIGN_OR_RETURN(PreflightReport report,
                             InspectRedis(*connection, options_.durability));
    if (report.problems.empty()) INDOUBT_RETURN_IF_ERROR(connection->EnsureLibrary());
    return report;
  }

  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline) override {
    return std::make_unique<RedisBranch>(PipelineFor(gid), BranchId{gid, options_.name},
                                         deadline);
  }

  void Commit(const Gid& gid, const Token&, TimePoint deadline, AckCallback done) override {
    Tell("indoubt_commit", gid, deadline, std::move(done));
  }

  void Rollback(const Gid& gid, const Token&, TimePoint deadline, AckCallback done) override {
    Tell("indoubt_rollback", gid, deadline, std::move(done));
  }

  Result<std::vector<PreparedBranch>> ListPrepared(TimePoint deadline) override {
    INDOUBT_ASSIGN_OR_RETURN(const auto connection, Connect(deadline));
    // Every recovery pass lists, and so notices a setting that was changed meanwhile.
    INDOUBT_ASSIGN_OR_RETURN(const PreflightReport report,
                             InspectRedis(*connection, options_.durability));
    if (!report.problems.empty()) {
      for (const Pipeline& pipeline : pipelines_) pipeline->Distrust();
      return Status(StatusCode::kRefused,
                    fmt::format("Redis at {}: {}", address_.Shown(), report.problems.front()));
    }
    INDOUBT_RETURN_IF_ERROR(connection->EnsureLibrary());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReply reply,
                             connection->SendOne({"FCALL", "indoubt_list", "0"}));
    if (reply->type != REDIS_REPLY_ARRAY) {
      return Status(StatusCode::kUnavailable,
                    fmt::format("Redis at {}: {}", address_.Shown(), Text(*reply)));
    }
    std::vector<PreparedBranch> branches;
    for (size_t i = 0; i < reply->elements; ++i) {
      auto id = BranchId::Parse(Text(*reply->element[i]));
      if (id) branches.push_back({std::move(*id), ""});
    }
    return branches;
  }

  void Forget(const Gid& gid) override {
    PipelineFor(gid)->Submit(
        {SystemClock().Now() + kForgetLimit,
         {"FCALL", "indoubt_forget", "0", BranchId{gid, options_.name}.ToString()},
         [](const redisReply*, const Status&, bool) {}});
  }

 private:
  const Pipeline& PipelineFor(const Gid& gid) {
    // One gid's calls stay in order.
    return pipelines_[std::hash<Gid>()(gid) % pipelines_.size()];
  }

  Result<std::unique_ptr<RedisConnection>> Connect(TimePoint deadline) {
    const Duration left = deadline - SystemClock().Now();
    return RedisConnection::Connect(
        address_,
        std::clamp<Duration>(left, std::chrono::milliseconds(1), std::chrono::seconds(5)));
  }

  void Tell(const char* function, const Gid& gid, TimePoint deadline, AckCallback done) {
    PipelineFor(gid)->Submit(
        {deadline,
         {"FCALL", function, "0", BranchId{gid, options_.name}.ToString()},
         [done = std::move(done)](const redisReply* reply, const Status& why, bool) {
           if (reply == nullptr) return done({AckKind::kRetry, why.message()});
           const Answer answer = Decode(*reply);
           if (answer.tag == "done") return done({AckKind::kDone, ""});
           if (answer.tag == "heuristic") return done({AckKind::kHeuristic, answer.reason});
           // OOM, NOREPLICAS, MISCONF, BUSY, LOADING, READONLY: it passes.
           done({AckKind::kRetry, answer.reason});
         }});
  }

  const RedisOptions options_;
  const RedisAddress address_;
  std::vector<Pipeline> pipelines_;
};

}  // namespace

Result<std::unique_ptr<Participant>> MakeRedisParticipant(const RedisOptions& options) {
  if (!IsValidName(options.name)) {
    return Status(StatusCode::kInvalidArgument,
                  "a participant's name is 1 to 32 of [A-Za-z0-9_-]");
  }
  INDOUBT_ASSIGN_OR_RETURN(RedisAddress address, ParseRedisUri(options.uri));
  return std::unique_ptr<Participant>(
      std::make_unique<RedisParticipant>(options, std::move(address)));
}

}  // namespace indoubt
