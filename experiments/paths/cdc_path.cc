// The rival path: one write to PostgreSQL, from this process, and a CDC worker in
// a process of its own that derives what Redis and SQLite hold.
#include <fmt/format.h>

#include "cdc/worker.h"
#include "experiments/executors/raw_executor.h"
#include "experiments/paths/path_support.h"
#include "experiments/paths/victim.h"
#include "experiments/workloads/shop_derivation.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr auto kStartLimit = std::chrono::seconds(60);
constexpr auto kStopLimit = std::chrono::seconds(20);

class CdcPath final : public Path {
 public:
  ~CdcPath() override { Stop(); }

  const std::string& name() const override { return name_; }
  Placement placement() const override { return Placement::kSourceOnly; }
  std::string victim() const override { return "cdc-worker"; }

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
    INDOUBT_RETURN_IF_ERROR(
        WriteShopConfig(context_.stores, ConfigPath(), "unix:" + context_.scratch + "/none"));
    INDOUBT_RETURN_IF_ERROR(StartWorker(context.strike_point));
    return WaitForViews(views_, SystemClock().Now() + kStartLimit);
  }

  void Submit(TransactionRequest request, OutcomeCallback done) override {
    executor_->Execute(std::move(request), std::move(done));
  }

  Status Strike() override { return worker_.Strike(); }
  std::optional<TimePoint> StruckAt() override { return worker_.StruckAt(); }
  Status Restart() override { return StartWorker(""); }

  Status Drain(TimePoint deadline) override {
    INDOUBT_RETURN_IF_ERROR(worker_.CheckAlive("cdc-worker"));
    return WaitForViews(views_, deadline);
  }

  /// The worker started once more must leave the views where they are. What it
  /// would do twice shows in the comparison, which follows.
  Result<std::optional<bool>> RecoverAgain() override {
    INDOUBT_ASSIGN_OR_RETURN(const auto before, ReadPositions(views_));
    INDOUBT_RETURN_IF_ERROR(worker_.Stop(kStopLimit));
    INDOUBT_RETURN_IF_ERROR(StartWorker(""));
    INDOUBT_RETURN_IF_ERROR(WaitForViews(views_, SystemClock().Now() + kStartLimit));
    INDOUBT_ASSIGN_OR_RETURN(const auto after, ReadPositions(views_));
    bool kept = before.size() == after.size();
    for (const auto& [view, position] : before) {
      const auto at = after.find(view);
      kept = kept && at != after.end() && at->second.value >= position.value;
    }
    return std::optional<bool>(kept);
  }

  void Stop() override {
    // How it ended matters no more here: the records are complete.
    static_cast<void>(worker_.Stop(kStopLimit));
    executor_.reset();
  }

 private:
  std::string ConfigPath() const { return context_.scratch + "/indoubt.toml"; }

  /// The same views as in the configuration file, to ask how far they are.
  Status MakeViews() {
    INDOUBT_ASSIGN_OR_RETURN(const Derivation derivation, FindDerivation(kShopDerivation));
    views_.source_dsn = context_.stores.postgres_dsn;
    views_.tables = {"orders", "item"};
    views_.slot = views_.publication = "indoubt_lab";
    views_.event_log_path = context_.scratch + "/events.db";
    views_.views = {{"stock", ViewKind::kRedis, context_.stores.redis_uri, derivation},
                    {"ledger", ViewKind::kSqlite, context_.stores.sqlite_path, derivation}};
    return Status::Ok();
  }

  Status StartWorker(const std::string& strike_point) {
    ProcessSpec spec;
    spec.argv = {context_.binary, "cdc", "run", "-c", ConfigPath()};
    spec.output_path = context_.log_folder + "/cdc-worker.log";
    return worker_.Start(spec, strike_point, context_.scratch + "/strike");
  }

  const std::string name_ = "cdc";
  PathContext context_;
  CdcOptions views_;
  Victim worker_;
  std::unique_ptr<TransactionExecutor> executor_;
};

}  // namespace

std::unique_ptr<Path> MakeCdcPath() { return std::make_unique<CdcPath>(); }

}  // namespace indoubt
