#include "participants/redis/redis_participant.h"

#include <set>

#include <fmt/format.h>

#include "participants/redis/redis_answer.h"
#include "participants/redis/redis_branch.h"
#include "participants/redis/redis_inspection.h"
#include "participants/redis/redis_pipeline.h"
#include "participants/redis/redis_repair.h"

namespace indoubt {
namespace {

using Pipeline = std::shared_ptr<RedisPipeline>;  // shared by participant and branches

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
    if (!report.problems.empty()) return report;
    INDOUBT_RETURN_IF_ERROR(connection->EnsureLibrary());
    INDOUBT_ASSIGN_OR_RETURN(std::string warning, WarnOfStrayLocks(*connection));
    if (!warning.empty()) report.warnings.push_back(std::move(warning));
    return report;
  }

  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline) override {
    return MakeRedisBranch(PipelineFor(gid), BranchId{gid, options_.name}, deadline);
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

  Result<std::vector<Gid>> ListOutcomes(std::string_view node, TimePoint deadline) override {
    INDOUBT_ASSIGN_OR_RETURN(const auto connection, Connect(deadline));
    INDOUBT_RETURN_IF_ERROR(connection->EnsureLibrary());
    std::set<Gid> gids;  // a scan may name one twice
    std::string cursor = "0";
    do {
      if (SystemClock().Now() > deadline) {
        return Status(StatusCode::kUnavailable,
                      fmt::format("Redis at {}: took too long", address_.Shown()));
      }
      INDOUBT_ASSIGN_OR_RETURN(const RedisReply page,
                               connection->SendOne({"FCALL", "indoubt_outcomes", "0", cursor}));
      if (page->type != REDIS_REPLY_ARRAY || page->elements != 2) {
        return Status(StatusCode::kUnavailable,
                      fmt::format("Redis at {}: {}", address_.Shown(), Text(*page)));
      }
      cursor = Text(*page->element[0]);
      const redisReply& branches = *page->element[1];
      for (size_t i = 0; i < branches.elements; ++i) {
        const auto id = BranchId::Parse(Text(*branches.element[i]));
        if (id && id->participant == options_.name && id->gid.node == node) {
          gids.insert(id->gid);
        }
      }
    } while (cursor != "0" && gids.size() < kMostOutcomes);
    return std::vector<Gid>(gids.begin(), gids.end());
  }

  void Forget(const Gid& gid) override {
    PipelineFor(gid)->Forget(BranchId{gid, options_.name}.ToString());
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
           const RedisAnswer answer = DecodeAnswer(*reply);
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
