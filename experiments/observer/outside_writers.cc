#include "experiments/observer/outside_writers.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sqlite3.h>

#include "experiments/stores/store_clients.h"
#include "experiments/workloads/random.h"
#include "experiments/workloads/shop_names.h"
#include "participants/redis/redis_keys.h"

namespace indoubt {
namespace {

constexpr int kPostgresWriters = 4;
constexpr int kRedisWriters = 2;
constexpr auto kBetweenAttempts = std::chrono::milliseconds(25);
constexpr auto kBetweenSweptKeys = std::chrono::milliseconds(5);
constexpr auto kAskAgain = std::chrono::milliseconds(2);
constexpr auto kSqliteBusy = std::chrono::milliseconds(100);
constexpr uint64_t kWriterStream = 200;  // apart from the workload's own

/// Which key a writer tries next.
struct KeyChoice {
  bool sweeps = false;  // all keys in turn; otherwise as the load draws them
  int64_t first = 0;    // of a sweep: this key and every `step`-th after it
  int64_t step = 1;
};

/// The choice of the i-th of `writers`: the first half goes with the load.
KeyChoice ChoiceOf(int i, int writers) {
  const int with_the_load = writers / 2;
  if (i < with_the_load) return {};
  return {.sweeps = true, .first = i - with_the_load, .step = writers - with_the_load};
}

}  // namespace

/// One thread that tries one key after the other.
class OutsideWriters::Writer {
 public:
  Writer(const char* store, uint64_t number, KeyChoice choice, const Shop& shop,
         NdjsonFile& out, std::atomic<int64_t>& waiting)
      : shop_(shop),
        store_(store),
        stream_(kWriterStream + number),
        choice_(choice),
        swept_(choice.first),
        out_(out),
        waiting_(waiting),
        thread_(fmt::format("outside writer of {}", store),
                choice.sweeps ? kBetweenSweptKeys : kBetweenAttempts,
                [this] { return Attempt(); }) {}
  virtual ~Writer() = default;

  void Start() { thread_.Start(); }
  virtual void Stop() { thread_.Stop(); }
  std::optional<std::string> Trouble() const { return thread_.Trouble(); }

 protected:
  /// A key to try; none for now.
  virtual std::optional<std::string> NextKey() = 0;
  /// Waits until the key could be written; kAborted when told to stop before.
  virtual Status Write(const std::string& key) = 0;

  bool sweeps() const { return choice_.sweeps; }
  /// The next key of a sweep over the ids 1 to `keys`.
  int64_t NextSwept(int64_t keys) {
    const int64_t id = 1 + swept_;
    swept_ += choice_.step;
    if (swept_ >= keys) swept_ = std::min(choice_.first, keys - 1);
    return id;
  }
  uint64_t Random() { return RandomAt(shop_.options().seed, stream_, counter_++); }
  bool stopping() const { return thread_.stopping(); }
  void Pause(Duration duration) { thread_.Pause(duration); }

  const Shop& shop_;

 private:
  Status Attempt() {
    const std::optional<std::string> key = NextKey();
    if (!key) return Status::Ok();
    const int64_t started = MonotonicNanos();
    ++waiting_;
    Status status = Write(*key);
    --waiting_;
    const int64_t ended = MonotonicNanos();
    // An attempt that failed for another reason says nothing of blocking.
    if (!status.ok() && !stopping()) return status;
    out_.Write({{"store", store_},
                {"key", *key},
                {"started_ns", started},
                {"ended_ns", status.ok() ? nlohmann::json(ended) : nlohmann::json(nullptr)}});
    return Status::Ok();
  }

  const char* const store_;
  const uint64_t stream_;
  const KeyChoice choice_;
  int64_t swept_;  // of a sweep: the next key, from 0
  uint64_t counter_ = 0;
  NdjsonFile& out_;
  std::atomic<int64_t>& waiting_;
  WatchThread thread_;
};

class OutsideWriters::PostgresWriter final : public Writer {
 public:
  PostgresWriter(std::unique_ptr<PostgresClient> client, uint64_t number, KeyChoice choice,
                 const Shop& shop, NdjsonFile& out, std::atomic<int64_t>& waiting)
      : Writer(kAccounts, number, choice, shop, out, waiting), client_(std::move(client)) {}
  ~PostgresWriter() override { Stop(); }

  void Stop() override {
    // The statement may be about to start, so cancel until the thread has seen it.
    std::atomic<bool> ended{false};
    std::thread canceller([&] {
      while (!ended) {
        client_->Cancel();
        std::this_thread::sleep_for(kBetweenAttempts);
      }
    });
    Writer::Stop();
    ended = true;
    canceller.join();
  }

 protected:
  std::optional<std::string> NextKey() override {
    if (sweeps()) {
      account_ = std::to_string(NextSwept(shop_.options().accounts));
    } else {
      const Operation operation = shop_.At(Random());
      if (operation.kind != OperationKind::kPlaceOrder) return std::nullopt;
      account_ = std::to_string(operation.account);
    }
    return "account:" + account_;
  }

  Status Write(const std::string&) override {
    if (stopping()) return Status(StatusCode::kAborted, "told to stop");
    INDOUBT_RETURN_IF_ERROR(client_->Revive());
    INDOUBT_RETURN_IF_ERROR(client_->Run("BEGIN"));
    const Status updated =
        client_->Query("UPDATE account SET balance = balance WHERE id = $1", {account_})
            .status();
    const Status ended = client_->Run("ROLLBACK");
    return updated.ok() ? ended : updated;
  }

 private:
  std::unique_ptr<PostgresClient> client_;
  std::string account_;
};

class OutsideWriters::RedisWriter final : public Writer {
 public:
  RedisWriter(std::unique_ptr<RedisClient> client, uint64_t number, KeyChoice choice,
              const Shop& shop, NdjsonFile& out, std::atomic<int64_t>& waiting)
      : Writer(kStock, number, choice, shop, out, waiting), client_(std::move(client)) {}
  ~RedisWriter() override { Stop(); }

 protected:
  std::optional<std::string> NextKey() override {
    return StockKey(sweeps() ? NextSwept(shop_.options().items) : shop_.At(Random()).item);
  }

  Status Write(const std::string& key) override {
    static const std::string script =
        "if redis.call('HEXISTS', KEYS[2], KEYS[1]) == 1 then return 0 end "
        "redis.call('INCRBY', KEYS[1], 0) return 1";
    while (!stopping()) {
      INDOUBT_RETURN_IF_ERROR(client_->Revive());
      INDOUBT_ASSIGN_OR_RETURN(const auto reply, client_->Run({"EVAL", script, "2", key,
                                                               std::string(kRedisLocksKey)}));
      if (reply->integer == 1) return Status::Ok();
      Pause(kAskAgain);
    }
    return Status(StatusCode::kAborted, "told to stop");
  }

 private:
  std::unique_ptr<RedisClient> client_;
};

class OutsideWriters::SqliteWriter final : public Writer {
 public:
  SqliteWriter(std::unique_ptr<SqliteClient> client, const Shop& shop,
               const RecentOrders& recent, NdjsonFile& out, std::atomic<int64_t>& waiting)
      : Writer(kLedger, kPostgresWriters + kRedisWriters, {}, shop, out, waiting),
        client_(std::move(client)),
        recent_(recent) {}
  ~SqliteWriter() override { Stop(); }

 protected:
  std::optional<std::string> NextKey() override {
    const std::optional<int64_t> order = recent_.Pick(Random());
    if (!order) return std::nullopt;
    order_ = std::to_string(*order);
    return "order:" + order_;
  }

  Status Write(const std::string&) override {
    while (!stopping()) {
      INDOUBT_ASSIGN_OR_RETURN(const bool free, TryOnce());
      if (free) return Status::Ok();
      Pause(kAskAgain);
    }
    return Status(StatusCode::kAborted, "told to stop");
  }

 private:
  Result<bool> TryOnce() {
    const Status begun = client_->Run("BEGIN IMMEDIATE");
    if (begun.code() == StatusCode::kLocked) return false;
    INDOUBT_RETURN_IF_ERROR(begun);
    const auto inserted = client_->Query(
        "INSERT INTO entries (order_id, account, item, amount) VALUES (?1, 0, 0, 0)", {order_});
    const int code = client_->last_code();
    INDOUBT_RETURN_IF_ERROR(client_->Run("ROLLBACK"));
    // The row is there already: nobody holds it.
    if (inserted || code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID) {
      return true;
    }
    if (code == SQLITE_CONSTRAINT_TRIGGER || (code & 0xff) == SQLITE_BUSY) return false;
    return inserted.error();
  }

  std::unique_ptr<SqliteClient> client_;
  const RecentOrders& recent_;
  std::string order_;
};

OutsideWriters::OutsideWriters() = default;
OutsideWriters::~OutsideWriters() { Stop(); }

Result<std::unique_ptr<OutsideWriters>> OutsideWriters::Start(const StoreEndpoints& stores,
                                                              const Shop& shop,
                                                              const RecentOrders& recent,
                                                              NdjsonFile& out) {
  std::unique_ptr<OutsideWriters> all(new OutsideWriters());
  auto& waiting = all->waiting_;
  for (int i = 0; i < kRedisWriters; ++i) {
    INDOUBT_ASSIGN_OR_RETURN(auto redis,
                             RedisClient::Connect(stores.redis_uri, std::chrono::seconds(30)));
    all->writers_.push_back(std::make_unique<RedisWriter>(
        std::move(redis), static_cast<uint64_t>(kPostgresWriters + i),
        ChoiceOf(i, kRedisWriters), shop, out, waiting));
  }
  INDOUBT_ASSIGN_OR_RETURN(auto sqlite,
                           SqliteClient::Open(stores.sqlite_path, false, kSqliteBusy));
  all->writers_.push_back(
      std::make_unique<SqliteWriter>(std::move(sqlite), shop, recent, out, waiting));
  for (int i = 0; i < kPostgresWriters; ++i) {
    INDOUBT_ASSIGN_OR_RETURN(auto postgres, PostgresClient::Connect(stores.postgres_dsn));
    all->writers_.push_back(
        std::make_unique<PostgresWriter>(std::move(postgres), static_cast<uint64_t>(i),
                                         ChoiceOf(i, kPostgresWriters), shop, out, waiting));
  }
  for (auto& writer : all->writers_) writer->Start();
  return all;
}

void OutsideWriters::Stop() {
  for (auto& writer : writers_) writer->Stop();
}

std::vector<std::string> OutsideWriters::Troubles() const {
  std::vector<std::string> troubles;
  for (const auto& writer : writers_) {
    if (const auto trouble = writer->Trouble()) troubles.push_back(*trouble);
  }
  return troubles;
}

}  // namespace indoubt
