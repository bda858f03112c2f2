// The rival path: one write to PostgreSQL, from this process, and a CDC worker in
// a process of its own that derives what Redis and SQLite hold.
#include <fstream>
#include <map>

#include <fmt/format.h>

#include "cdc/worker.h"
#include "experiments/executors/raw_executor.h"
#include "experiments/paths/path_support.h"
#include "experiments/paths/process_path.h"
#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop_derivation.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr auto kStartLimit = std::chrono::seconds(60);
constexpr auto kStopLimit = std::chrono::seconds(20);
constexpr auto kSqliteBusy = std::chrono::seconds(10);

/// Everything that the worker derives.
struct DerivedData {
  std::map<std::string, Cell> redis;
  std::vector<Row> sqlite;
  bool operator==(const DerivedData&) const = default;
};

Result<DerivedData> ReadDerived(const StoreEndpoints& stores) {
  DerivedData data;
  INDOUBT_ASSIGN_OR_RETURN(const auto redis, RedisClient::Connect(stores.redis_uri));
  for (const char* pattern : {"stock:*", "price:*", "reserved:*"}) {
    INDOUBT_ASSIGN_OR_RETURN(const auto keys, redis->Keys(pattern));
    INDOUBT_ASSIGN_OR_RETURN(const auto values, redis->Get(keys));
    for (size_t i = 0; i < keys.size(); ++i) data.redis[keys[i]] = values[i];
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto sqlite,
                           SqliteClient::Open(stores.sqlite_path, false, kSqliteBusy));
  INDOUBT_ASSIGN_OR_RETURN(
      data.sqlite,
      sqlite->Query("SELECT order_id, account, item, amount FROM entries ORDER BY order_id"));
  return data;
}

class CdcPath final : public ProcessPath {
 public:
  ~CdcPath() override { Stop(); }

  const std::string& name() const override { return name_; }
  Placement placement() const override { return Placement::kSourceOnly; }
  std::string victim() const override { return "cdc-worker"; }
  const CdcOptions* views() const override { return &views_; }
  // The worker goes on without it, and tries again.
  OwnLog own_log() const override { return {.name = "event log", .file = "events.db"}; }

  Status Start(const PathContext& context) override {
    context_ = context;
    RegisterShopDerivation();
    INDOUBT_RETURN_IF_ERROR(MakeViews());
    INDOUBT_ASSIGN_OR_RETURN(Participants all, MakeShopParticipants(context.stores));
    Participants source;
    source.push_back(std::move(all[0]));
    INDOUBT_RETURN_IF_ERROR(PreflightAll(source, SystemClock().Now() + kStartLimit));
    executor_ = MakeRawExecutor(std::move(source));
    // serve's listen is not used here, but the file is the same one.
    INDOUBT_RETURN_IF_ERROR(WriteShopConfig(context_.stores, ConfigPath(),
                                            "unix:" + context_.scratch + "/none", id_));
    started_ = true;
    INDOUBT_RETURN_IF_ERROR(StartProcess(context.strike_point));
    return WaitForViews(views_, SystemClock().Now() + kStartLimit);
  }

  Status Drain(TimePoint deadline) override {
    INDOUBT_RETURN_IF_ERROR(process_.CheckAlive("cdc-worker"));
    return WaitForViews(views_, deadline);
  }

  /// The worker started once more, and caught up, must leave the views' data as it
  /// is: a change that it applied twice would show.
  Result<std::optional<bool>> RecoverAgain() override {
    INDOUBT_ASSIGN_OR_RETURN(const DerivedData before, ReadDerived(context_.stores));
    INDOUBT_RETURN_IF_ERROR(process_.Stop(kStopLimit));
    INDOUBT_RETURN_IF_ERROR(MoveSource());
    INDOUBT_RETURN_IF_ERROR(StartProcess(""));
    INDOUBT_RETURN_IF_ERROR(WaitForViews(views_, SystemClock().Now() + kStartLimit));
    INDOUBT_ASSIGN_OR_RETURN(const DerivedData after, ReadDerived(context_.stores));
    return std::optional<bool>(before == after);
  }

  void Stop() override {
    // How it ended matters no more here: the records are complete.
    static_cast<void>(process_.Stop(kStopLimit));
    executor_.reset();
    if (!started_) return;
    started_ = false;
    if (const Status cleaned = CleanUp(); !cleaned.ok()) {
      std::ofstream(context_.log_folder + "/clean-up.log", std::ios::app)
          << "slot and publication " << id_ << " are left behind: " << cleaned.message()
          << "\n";
    }
  }

 private:
  /// The same views as in the configuration file, to ask how far they are.
  Status MakeViews() {
    INDOUBT_ASSIGN_OR_RETURN(const Derivation derivation, FindDerivation(kShopDerivation));
    views_.source_dsn = context_.stores.postgres_dsn;
    views_.tables = {"orders", "item"};
    views_.slot = views_.publication = id_;
    views_.event_log_path = context_.scratch + "/events.db";
    views_.views = {
        {id_ + "_stock", ViewKind::kRedis, context_.stores.redis_uri, derivation},
        {id_ + "_ledger", ViewKind::kSqlite, context_.stores.sqlite_path, derivation}};
    return Status::Ok();
  }

  /// Takes the source's log a step on, without a change to any table: views that are
  /// where the source is would need no worker to be waited for.
  Status MoveSource() {
    INDOUBT_ASSIGN_OR_RETURN(const auto postgres,
                             PostgresClient::Connect(context_.stores.postgres_dsn));
    return postgres->Query("SELECT pg_logical_emit_message(true, 'indoubt', 'a step')")
        .status();
  }

  /// A slot that nobody reads would keep the source's log for ever.
  Status CleanUp() {
    INDOUBT_ASSIGN_OR_RETURN(const auto postgres,
                             PostgresClient::Connect(context_.stores.postgres_dsn));
    // The worker's walsender may take a moment to notice that its client is gone.
    INDOUBT_RETURN_IF_ERROR(
        postgres
            ->Query("SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots "
                    "WHERE slot_name = $1 AND active",
                    {id_})
            .status());
    INDOUBT_RETURN_IF_ERROR(
        postgres
            ->Query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                    "WHERE slot_name = $1",
                    {id_})
            .status());
    INDOUBT_RETURN_IF_ERROR(postgres->Run("DROP PUBLICATION IF EXISTS " + id_));
    INDOUBT_ASSIGN_OR_RETURN(const auto redis, RedisClient::Connect(context_.stores.redis_uri));
    INDOUBT_ASSIGN_OR_RETURN(const auto keys, redis->Keys("indoubt:cdc:*:" + id_ + "_*"));
    for (const std::string& key : keys) {
      INDOUBT_RETURN_IF_ERROR(redis->Run({"DEL", key}).status());
    }
    return Status::Ok();
  }

  Status StartProcess(const std::string& strike_point) override {
    ProcessSpec spec;
    spec.environment = context_.environment;
    spec.argv = {context_.binary, "cdc", "run", "-c", ConfigPath()};
    spec.output_path = context_.log_folder + "/cdc-worker.log";
    return process_.Start(spec, strike_point, ArmPath());
  }

  const std::string name_ = "cdc";
  // Slot, publication and views of this path alone: others may use the same servers,
  // and another repetition must not go on where this one ended.
  const std::string id_ = "lab_" + std::string(LogId::Random().text());
  bool started_ = false;  // there may be something to clean up
  CdcOptions views_;
};

}  // namespace

std::unique_ptr<Path> MakeCdcPath() { return std::make_unique<CdcPath>(); }

}  // namespace indoubt
