#include "experiments/executors/dual_write_executor.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "base/failpoint.h"
#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr auto kSqliteBusy = std::chrono::seconds(10);
constexpr size_t kMostQueued = 4096;

std::vector<Cell> Cells(const std::vector<Value>& values) {
  std::vector<Cell> cells;
  cells.reserve(values.size());
  for (const Value& value : values) cells.push_back(TextOf(value));
  return cells;
}

/// The part of a request that is for one store.
struct StoreWork {
  std::string participant;
  std::vector<Statement> statements;
};

std::vector<StoreWork> ByStore(TransactionRequest request) {
  std::vector<StoreWork> work;
  for (AddressedStatement& each : request.statements) {
    const auto at = std::find_if(work.begin(), work.end(), [&](const StoreWork& store) {
      return store.participant == each.participant;
    });
    StoreWork& store =
        at != work.end() ? *at : work.emplace_back(StoreWork{each.participant, {}});
    store.statements.push_back(std::move(each.statement));
  }
  return work;
}

/// The connections of one thread.
struct Connections {
  std::unique_ptr<PostgresClient> postgres;
  std::unique_ptr<RedisClient> redis;
};

/// BEGIN, the statements, COMMIT; ROLLBACK after a failure.
template <typename Client>
Status WriteSql(Client& client, const std::vector<Statement>& statements, const char* begin) {
  INDOUBT_RETURN_IF_ERROR(client.Run(begin));
  for (const Statement& statement : statements) {
    const auto result = client.Query(statement.text, Cells(statement.params));
    if (result) continue;
    const Status rolled_back = client.Run("ROLLBACK");
    return rolled_back.ok() ? result.error() : result.error().WithContext("and no ROLLBACK");
  }
  return client.Run("COMMIT");
}

Status WriteRedis(RedisClient& client, const std::vector<Statement>& statements) {
  std::vector<std::vector<std::string>> commands;
  for (const Statement& statement : statements) {
    INDOUBT_ASSIGN_OR_RETURN(commands.emplace_back(), SplitRedisStatement(statement));
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto replies, client.RunAll(commands));
  for (const auto& reply : replies) {
    if (reply->type == REDIS_REPLY_ERROR) {
      return Status(StatusCode::kAborted, fmt::format("Redis: {}", reply->str));
    }
  }
  return Status::Ok();
}

class DualWriteExecutor final : public TransactionExecutor {
 public:
  explicit DualWriteExecutor(std::unique_ptr<SqliteClient> sqlite)
      : sqlite_(std::move(sqlite)) {}

  ~DualWriteExecutor() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    for (Job& job : queue_) Refuse(job, "the client is stopping");
  }

  Status Start(const StoreEndpoints& stores, int clients) {
    for (int i = 0; i < clients; ++i) {
      Connections connections;
      INDOUBT_ASSIGN_OR_RETURN(connections.postgres,
                               PostgresClient::Connect(stores.postgres_dsn));
      INDOUBT_ASSIGN_OR_RETURN(connections.redis, RedisClient::Connect(stores.redis_uri));
      threads_.emplace_back([this, mine = std::move(connections)]() mutable { Serve(mine); });
    }
    return Status::Ok();
  }

  void Execute(TransactionRequest request, OutcomeCallback done) override {
    Job job{std::move(request), std::move(done)};
    {
      std::lock_guard lock(mutex_);
      if (!stopping_ && queue_.size() < kMostQueued) {
        queue_.push_back(std::move(job));
        wake_.notify_one();
        return;
      }
    }
    Refuse(job, "too many operations are waiting");
  }

 private:
  struct Job {
    TransactionRequest request;
    OutcomeCallback done;
  };

  static void Refuse(Job& job, std::string why) {
    TransactionOutcome outcome;
    outcome.outcome = Outcome::kRolledBack;
    outcome.code = StatusCode::kUnavailable;
    outcome.reason = std::move(why);
    job.done(std::move(outcome));
  }

  void Serve(Connections& connections) {
    for (;;) {
      Job job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        job = std::move(queue_.front());
        queue_.pop_front();
      }
      const TimePoint started = SystemClock().Now();
      TransactionOutcome outcome = Write(connections, std::move(job.request));
      outcome.elapsed = SystemClock().Now() - started;
      job.done(std::move(outcome));
    }
  }

  TransactionOutcome Write(Connections& connections, TransactionRequest request) {
    TransactionOutcome outcome;
    outcome.results.resize(request.statements.size());
    const std::vector<StoreWork> work = ByStore(std::move(request));
    for (size_t i = 0; i < work.size(); ++i) {
      Status written = WriteStore(connections, work[i]);
      if (written.ok() && i + 1 < work.size()) written = PassPointsAfter(i, work);
      if (written.ok()) continue;
      // The stores before this one keep what was written: nobody knows of it.
      const bool refused = i == 0 && written.code() == StatusCode::kAborted;
      outcome.outcome = refused ? Outcome::kRolledBack : Outcome::kInDoubt;
      outcome.code = written.code();
      outcome.reason = fmt::format("{}: {}", work[i].participant, written.message());
      return outcome;
    }
    outcome.outcome = Outcome::kCommitted;
    return outcome;
  }

  /// One store is written and the next is not.
  static Status PassPointsAfter(size_t written, const std::vector<StoreWork>& work) {
    if (written == 0) {
      std::vector<std::string> stores;
      stores.reserve(work.size());
      for (const StoreWork& store : work) stores.push_back(store.participant);
      INDOUBT_RETURN_IF_ERROR(HitFailPoint("dual_write_first", stores));
    }
    return HitFailPoint("dual_write_between", work[written].participant);
  }

  Status WriteStore(Connections& connections, const StoreWork& work) {
    if (work.participant == kAccounts) {
      INDOUBT_RETURN_IF_ERROR(connections.postgres->Revive());
      return WriteSql(*connections.postgres, work.statements, "BEGIN");
    }
    if (work.participant == kStock) {
      INDOUBT_RETURN_IF_ERROR(connections.redis->Revive());
      return WriteRedis(*connections.redis, work.statements);
    }
    if (work.participant == kLedger) {
      std::lock_guard lock(sqlite_mutex_);
      return WriteSql(*sqlite_, work.statements, "BEGIN IMMEDIATE");
    }
    return Status(StatusCode::kInvalidArgument, "no such store");
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;  // guarded by mutex_, at most kMostQueued
  bool stopping_ = false;  // guarded by mutex_
  std::mutex sqlite_mutex_;
  std::unique_ptr<SqliteClient> sqlite_;  // guarded by sqlite_mutex_
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<TransactionExecutor>> MakeDualWriteExecutor(const StoreEndpoints& stores,
                                                                   int clients) {
  INDOUBT_ASSIGN_OR_RETURN(auto sqlite,
                           SqliteClient::Open(stores.sqlite_path, false, kSqliteBusy));
  auto executor = std::make_unique<DualWriteExecutor>(std::move(sqlite));
  INDOUBT_RETURN_IF_ERROR(executor->Start(stores, clients));
  return std::unique_ptr<TransactionExecutor>(std::move(executor));
}

}  // namespace indoubt
