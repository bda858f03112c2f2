#include "experiments/faults/disk_faults.h"

#include <thread>
#include <utility>

#include "base/check.h"
#include "base/duration.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

/// How long one who ends by itself when its log fails may take for it.
constexpr auto kEndLimit = std::chrono::seconds(5);
/// How long a server that is still there may take until it answers again.
constexpr auto kAnswerLimit = std::chrono::seconds(10);
constexpr auto kPoll = std::chrono::milliseconds(5);

DiskTrouble TroubleOf(std::string_view kind) {
  if (kind == "disk-full") return DiskTrouble::kFull;
  return kind == "disk-error" ? DiskTrouble::kSyncError : DiskTrouble::kSlowSync;
}

class DiskFault final : public Fault {
 public:
  DiskFault(const FaultPlan& plan, Path& path, LabStores& stores)
      : trouble_(TroubleOf(plan.kind)),
        store_(plan.store),
        latency_(plan.latency),
        path_(path),
        stores_(stores) {}

  std::string target() const override { return store_.empty() ? path_.victim() : store_; }
  std::string point() const override {
    std::string where = store_.empty() ? path_.own_log().name : "its files";
    if (trouble_ == DiskTrouble::kSlowSync) {
      where += ", each sync " + FormatDuration(latency_) + " longer";
    }
    return where;
  }
  std::string struck_word() const override {
    switch (trouble_) {
      case DiskTrouble::kFull:
        return "found its disk full";
      case DiskTrouble::kSyncError:
        return "was refused a sync";
      case DiskTrouble::kNone:
      case DiskTrouble::kSlowSync:
        return "syncs slowly";
    }
    return "";
  }
  std::string healed_word() const override { return "has a sound disk again"; }

  Status Strike() override { return stores_.disk()->Strike(trouble_, Files(), latency_); }
  std::optional<TimePoint> StruckAt() override { return stores_.disk()->ActedAt(); }
  Status Withdraw() override {
    stores_.disk()->Heal();
    return Status::Ok();
  }
  Status Heal() override {
    stores_.disk()->Heal();
    if (store_ == kAccounts) return ReviveAccounts();
    if (store_ == kStock) return stores_.redis()->Running() ? Status::Ok() : RestartStock();
    return RevivePath();
  }

 private:
  /// What the paths of the struck files begin with.
  std::string Files() const {
    if (store_ == kAccounts) return stores_.postgres()->data_folder() + "/";
    if (store_ == kStock) return stores_.redis()->data_folder() + "/";
    if (store_ == kLedger) return stores_.direct().sqlite_path;
    return stores_.folder() + "/path/" + path_.own_log().file;
  }

  Status ReviveAccounts() {
    PostgresServer& server = *stores_.postgres();
    if (server.Answers(SystemClock().Now() + kAnswerLimit)) return Status::Ok();
    return server.Restart();
  }

  Status RestartStock() { return stores_.redis()->Restart(); }

  /// Whose log has failed stops for good, in its own time.
  Status RevivePath() {
    const bool stops = store_.empty() && path_.own_log().fail_stop &&
                       trouble_ != DiskTrouble::kSlowSync && stores_.disk()->ActedAt();
    const TimePoint deadline = SystemClock().Now() + kEndLimit;
    while (stops && path_.Running() && SystemClock().Now() < deadline) {
      std::this_thread::sleep_for(kPoll);
    }
    return path_.Running() ? Status::Ok() : path_.Restart("");
  }

  const DiskTrouble trouble_;
  const std::string store_;  // empty: the path's own log
  const Duration latency_;
  Path& path_;
  LabStores& stores_;
};

}  // namespace

bool IsDiskFault(std::string_view kind) { return kind.starts_with("disk-"); }

std::string WhyNoDiskFault(const FaultPlan& plan, const Path& path) {
  if (plan.store == kLedger) {
    return path.writes_ledger_apart()
               ? ""
               : "it writes ledger from the process that measures, whose disk has to be sound";
  }
  if (!plan.store.empty() || !path.own_log().name.empty()) return "";
  return path.name() == "2pc-embedded"
             ? "its decision log is written by the process that measures, whose disk has to "
               "be sound"
             : "it keeps no log of its own";
}

std::unique_ptr<Fault> MakeDiskFault(const FaultPlan& plan, Path& path, LabStores& stores) {
  INDOUBT_CHECK(stores.disk() != nullptr, "FaultyDiskOwner was asked before the stores began");
  return std::make_unique<DiskFault>(plan, path, stores);
}

}  // namespace indoubt
