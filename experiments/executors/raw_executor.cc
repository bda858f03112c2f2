#include "experiments/executors/raw_executor.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <fmt/format.h>

#include "base/check.h"

namespace indoubt {
namespace {

constexpr Duration kDefaultTimeout = std::chrono::seconds(5);
constexpr int kCommitAttempts = 3;

struct Part {
  Participant* participant = nullptr;
  std::vector<Statement> statements;
  std::vector<size_t> positions;  // of its statements in the request
  std::unique_ptr<Branch> branch;
  PrepareReply reply;
  Ack ack;
  int attempts = 0;
};

struct Transaction {
  Gid gid;
  TimePoint started;
  TimePoint deadline;
  OutcomeCallback done;
  std::vector<Part> parts;
  size_t statements = 0;
  std::atomic<size_t> awaited{0};
  bool commit = false;
};
using TransactionPtr = std::shared_ptr<Transaction>;  // every callback under way holds it

class RawExecutor final : public TransactionExecutor {
 public:
  explicit RawExecutor(std::vector<std::unique_ptr<Participant>> participants)
      : participants_(std::move(participants)), log_(LogId::Random()) {}

  ~RawExecutor() override {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return under_way_ == 0; });
    lock.unlock();
    participants_.clear();  // joins their threads, which may still be leaving Finish
  }

  void Execute(TransactionRequest request, OutcomeCallback done) override {
    auto transaction = std::make_shared<Transaction>();
    transaction->gid = Gid{"raw", log_, 1, next_.fetch_add(1)};
    transaction->started = SystemClock().Now();
    transaction->deadline = transaction->started +
                            (request.timeout.count() > 0 ? request.timeout : kDefaultTimeout);
    transaction->done = std::move(done);
    {
      std::lock_guard lock(mutex_);
      ++under_way_;
    }
    if (Status split = Split(std::move(request), *transaction); !split.ok()) {
      return Finish(transaction, Outcome::kRolledBack, split.message(), split.code());
    }
    if (transaction->parts.size() == 1) return OnePhase(transaction);
    Prepare(transaction);
  }

 private:
  Status Split(TransactionRequest request, Transaction& transaction) {
    transaction.statements = request.statements.size();
    for (size_t i = 0; i < request.statements.size(); ++i) {
      AddressedStatement& each = request.statements[i];
      Part* part = nullptr;
      for (Part& known : transaction.parts) {
        if (known.participant->name() == each.participant) part = &known;
      }
      if (part == nullptr) {
        Participant* participant = Find(each.participant);
        if (participant == nullptr) {
          return Status(StatusCode::kInvalidArgument, "no participant " + each.participant);
        }
        part = &transaction.parts.emplace_back();
        part->participant = participant;
        part->branch = participant->Begin(transaction.gid, transaction.deadline);
      }
      part->statements.push_back(std::move(each.statement));
      part->positions.push_back(i);
    }
    return transaction.parts.empty()
               ? Status(StatusCode::kInvalidArgument, "a transaction without statements")
               : Status::Ok();
  }

  Participant* Find(const std::string& name) {
    for (const auto& participant : participants_) {
      if (participant->name() == name) return participant.get();
    }
    return nullptr;
  }

  void OnePhase(const TransactionPtr& transaction) {
    Part& part = transaction->parts[0];
    part.branch->CommitOnePhase(
        std::move(part.statements), [this, transaction](OnePhaseReply reply) {
          Part& only = transaction->parts[0];
          only.reply.results = std::move(reply.results);
          switch (reply.kind) {
            case OnePhaseKind::kCommitted:
              return Finish(transaction, Outcome::kCommitted, "", StatusCode::kOk);
            case OnePhaseKind::kRolledBack:
              return Finish(transaction, Outcome::kRolledBack, NameReason(only, reply.reason),
                            StatusCode::kAborted);
            case OnePhaseKind::kUnknown:
              return Finish(transaction, Outcome::kInDoubt, NameReason(only, reply.reason),
                            StatusCode::kUnavailable);
          }
        });
  }

  void Prepare(const TransactionPtr& transaction) {
    transaction->awaited = transaction->parts.size();
    for (Part& part : transaction->parts) {
      part.branch->Prepare(std::move(part.statements),
                           [this, transaction, &part](PrepareReply reply) {
                             part.reply = std::move(reply);
                             if (transaction->awaited.fetch_sub(1) == 1) Voted(transaction);
                           });
    }
  }

  void Voted(const TransactionPtr& transaction) {
    bool commit = true;
    size_t told = 0;
    for (const Part& part : transaction->parts) {
      const VoteKind vote = part.reply.vote.kind;
      commit = commit && (vote == VoteKind::kYes || vote == VoteKind::kReadOnly);
      if (vote == VoteKind::kYes || vote == VoteKind::kUnknown) ++told;
    }
    transaction->commit = commit;
    if (told == 0) return Acknowledged(transaction);
    transaction->awaited = told;
    for (Part& part : transaction->parts) {
      const VoteKind vote = part.reply.vote.kind;
      if (vote == VoteKind::kYes || vote == VoteKind::kUnknown) Tell(transaction, part);
    }
  }

  void Tell(const TransactionPtr& transaction, Part& part) {
    const TimePoint deadline = SystemClock().Now() + kDefaultTimeout;
    const auto answered = [this, transaction, &part](const Ack& ack) {
      part.ack = ack;
      if (ack.kind == AckKind::kRetry && ++part.attempts < kCommitAttempts) {
        return Tell(transaction, part);
      }
      if (ack.kind == AckKind::kDone) part.participant->Forget(transaction->gid);
      if (transaction->awaited.fetch_sub(1) == 1) Acknowledged(transaction);
    };
    const Token& token = part.reply.vote.token;
    if (transaction->commit) {
      part.participant->Commit(transaction->gid, token, deadline, answered);
    } else {
      part.participant->Rollback(transaction->gid, token, deadline, answered);
    }
  }

  void Acknowledged(const TransactionPtr& transaction) {
    std::string reason;
    bool done = true;
    for (const Part& part : transaction->parts) {
      const VoteKind vote = part.reply.vote.kind;
      if (reason.empty() && (vote == VoteKind::kNo || vote == VoteKind::kUnknown)) {
        reason = NameReason(part, part.reply.vote.reason);
      }
      const bool told = vote == VoteKind::kYes || vote == VoteKind::kUnknown;
      if (told && part.ack.kind != AckKind::kDone) {
        done = false;
        reason = NameReason(part, part.ack.reason);
      }
    }
    if (!done) return Finish(transaction, Outcome::kInDoubt, reason, StatusCode::kUnavailable);
    if (transaction->commit) {
      return Finish(transaction, Outcome::kCommitted, "", StatusCode::kOk);
    }
    Finish(transaction, Outcome::kRolledBack, reason, StatusCode::kAborted);
  }

  static std::string NameReason(const Part& part, const std::string& reason) {
    return fmt::format("{}: {}", part.participant->name(), reason);
  }

  void Finish(const TransactionPtr& transaction, Outcome outcome, std::string reason,
              StatusCode code) {
    TransactionOutcome result;
    result.gid = transaction->gid.ToString();
    result.outcome = outcome;
    result.reason = std::move(reason);
    result.code = code;
    result.elapsed = SystemClock().Now() - transaction->started;
    result.results.resize(transaction->statements);
    for (Part& part : transaction->parts) {
      for (size_t i = 0; i < part.reply.results.size() && i < part.positions.size(); ++i) {
        result.results[part.positions[i]] = std::move(part.reply.results[i]);
      }
    }
    transaction->done(std::move(result));
    std::lock_guard lock(mutex_);
    if (--under_way_ == 0) idle_.notify_all();
  }

  std::vector<std::unique_ptr<Participant>> participants_;
  const LogId log_;
  std::atomic<uint64_t> next_{1};
  std::mutex mutex_;
  std::condition_variable idle_;
  int64_t under_way_ = 0;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<TransactionExecutor> MakeRawExecutor(
    std::vector<std::unique_ptr<Participant>> participants) {
  return std::make_unique<RawExecutor>(std::move(participants));
}

}  // namespace indoubt
