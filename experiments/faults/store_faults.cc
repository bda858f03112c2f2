#include "experiments/faults/store_faults.h"

#include <utility>

#include <fmt/format.h>

#include "base/duration.h"
#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

/// How long another writer's transaction is waited for before the lock counts as not had.
constexpr auto kLockPatience = std::chrono::seconds(10);

/// The part that all of them share: they act while Strike is called.
class StoreFault : public Fault {
 public:
  StoreFault(std::string store, LabStores& stores)
      : stores_(stores), store_(std::move(store)) {}

  std::string target() const override { return store_; }
  Status Strike() override {
    INDOUBT_RETURN_IF_ERROR(Act());
    struck_at_ = SystemClock().Now();
    return Status::Ok();
  }
  std::optional<TimePoint> StruckAt() override { return struck_at_; }

 protected:
  virtual Status Act() = 0;

  LabStores& stores_;

 private:
  const std::string store_;
  std::optional<TimePoint> struck_at_;
};

class StoreKill final : public StoreFault {
 public:
  using StoreFault::StoreFault;

  std::string struck_word() const override { return "killed"; }
  std::string healed_word() const override { return "restarted"; }
  Status Heal() override {
    return IsPostgres() ? stores_.postgres()->Restart() : stores_.redis()->Restart();
  }

 protected:
  Status Act() override {
    if (IsPostgres()) {
      stores_.postgres()->Kill();
    } else {
      stores_.redis()->Kill();
    }
    return Status::Ok();
  }

 private:
  bool IsPostgres() const { return target() == kAccounts; }
};

class StorePartition final : public StoreFault {
 public:
  using StoreFault::StoreFault;

  std::string struck_word() const override { return "cut off"; }
  std::string healed_word() const override { return "reachable again"; }
  Status Heal() override {
    stores_.proxy()->Heal();
    return Status::Ok();
  }

 protected:
  Status Act() override {
    stores_.proxy()->Refuse(true);
    stores_.proxy()->StrikeAll(ProxyAction::kHalfOpen);
    return Status::Ok();
  }
};

class StoreSlow final : public StoreFault {
 public:
  StoreSlow(std::string store, Duration latency, Duration jitter, LabStores& stores)
      : StoreFault(std::move(store), stores), latency_(latency), jitter_(jitter) {}

  std::string point() const override {
    std::string text = "latency " + FormatDuration(latency_);
    if (jitter_ > Duration{}) text += ", jitter " + FormatDuration(jitter_);
    return text;
  }
  std::string struck_word() const override { return "slow"; }
  std::string healed_word() const override { return "as fast as before"; }
  Status Heal() override {
    stores_.proxy()->Heal();
    return Status::Ok();
  }

 protected:
  Status Act() override {
    const LinkConditions slow{.latency = latency_, .jitter = jitter_};
    stores_.proxy()->SetConditions(Direction::kToServer, slow);
    stores_.proxy()->SetConditions(Direction::kToClient, slow);
    return Status::Ok();
  }

 private:
  const Duration latency_, jitter_;
};

class InDoubt final : public StoreFault {
 public:
  using StoreFault::StoreFault;

  std::string struck_word() const override { return "left with a transaction in doubt"; }
  std::string healed_word() const override { return "rid of it"; }
  Status Heal() override {
    INDOUBT_ASSIGN_OR_RETURN(const auto client,
                             PostgresClient::Connect(stores_.direct().postgres_dsn));
    INDOUBT_RETURN_IF_ERROR(client->Run("ROLLBACK PREPARED 'lab-in-doubt'"));
    return client->Run("DROP TABLE lab_in_doubt");
  }

 protected:
  Status Act() override {
    INDOUBT_ASSIGN_OR_RETURN(const auto client,
                             PostgresClient::Connect(stores_.direct().postgres_dsn));
    INDOUBT_RETURN_IF_ERROR(client->Run("CREATE TABLE IF NOT EXISTS lab_in_doubt(n bigint)"));
    INDOUBT_RETURN_IF_ERROR(client->Run("BEGIN"));
    INDOUBT_RETURN_IF_ERROR(client->Run("INSERT INTO lab_in_doubt VALUES (1)"));
    return client->Run("PREPARE TRANSACTION 'lab-in-doubt'");
  }
};

class StoreLock final : public StoreFault {
 public:
  using StoreFault::StoreFault;

  std::string struck_word() const override { return "locked by another writer"; }
  std::string healed_word() const override { return "free again"; }
  Status Heal() override {
    INDOUBT_RETURN_IF_ERROR(holder_->Run("ROLLBACK"));
    holder_.reset();
    return Status::Ok();
  }

 protected:
  Status Act() override {
    INDOUBT_ASSIGN_OR_RETURN(
        holder_, SqliteClient::Open(stores_.direct().sqlite_path, false, kLockPatience));
    return holder_->Run("BEGIN IMMEDIATE");
  }

 private:
  std::unique_ptr<SqliteClient> holder_;
};

}  // namespace

Result<std::unique_ptr<Fault>> MakeStoreKill(const std::string& store, LabStores& stores) {
  const bool ours =
      store == kAccounts ? stores.postgres() != nullptr : stores.redis() != nullptr;
  if (!ours) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("the scenario kills the server of {}, which was given and is not "
                              "ours to kill; leave --{} out",
                              store, store == kAccounts ? "postgres" : "redis"));
  }
  return std::unique_ptr<Fault>(std::make_unique<StoreKill>(store, stores));
}

std::unique_ptr<Fault> MakeStorePartition(const std::string& store, LabStores& stores) {
  return std::make_unique<StorePartition>(store, stores);
}

std::unique_ptr<Fault> MakeStoreSlow(const std::string& store, Duration latency,
                                     Duration jitter, LabStores& stores) {
  return std::make_unique<StoreSlow>(store, latency, jitter, stores);
}

std::unique_ptr<Fault> MakeInDoubt(LabStores& stores) {
  return std::make_unique<InDoubt>(std::string(kAccounts), stores);
}

std::unique_ptr<Fault> MakeStoreLock(LabStores& stores) {
  return std::make_unique<StoreLock>(std::string(kLedger), stores);
}

}  // namespace indoubt
