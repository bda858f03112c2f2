// The paths that run in the client's own process: the embedded coordinator, and
// its bound, the raw executor. Nobody can be killed here.
#include "coordinator/coordinator.h"
#include "experiments/executors/raw_executor.h"
#include "experiments/paths/path_support.h"
#include "recovery/file_log.h"

namespace indoubt {
namespace {

constexpr auto kStartLimit = std::chrono::seconds(30);
constexpr auto kDrainLimit = std::chrono::seconds(10);

class InProcessPath final : public Path {
 public:
  explicit InProcessPath(bool coordinated)
      : name_(coordinated ? "2pc-embedded" : "raw"), coordinated_(coordinated) {}
  ~InProcessPath() override { Stop(); }

  const std::string& name() const override { return name_; }
  Placement placement() const override { return Placement::kEverywhere; }
  std::string victim() const override { return ""; }

  Status Start(const PathContext& context) override {
    INDOUBT_ASSIGN_OR_RETURN(observers_, MakeShopParticipants(context.stores));
    INDOUBT_ASSIGN_OR_RETURN(Participants participants,
                             MakeShopParticipants(context.stores, context.last_resource));
    INDOUBT_RETURN_IF_ERROR(PreflightAll(participants, SystemClock().Now() + kStartLimit));
    if (!coordinated_) {
      executor_ = MakeRawExecutor(std::move(participants));
      return Status::Ok();
    }
    FileLogOptions log_options;
    log_options.node = "lab";
    INDOUBT_ASSIGN_OR_RETURN(
        auto log, OpenFileLog(PosixFileSystem(), context.scratch + "/decisions", log_options));
    decision_log_ = context.scratch + "/decisions";
    CoordinatorOptions options;
    options.node = "lab";
    INDOUBT_ASSIGN_OR_RETURN(
        auto coordinator, Coordinator::Start(options, std::move(log), std::move(participants)));
    coordinator_ = coordinator.get();
    executor_ = std::move(coordinator);
    return Status::Ok();
  }

  void Submit(TransactionRequest request, OutcomeCallback done) override {
    executor_->Execute(std::move(request), std::move(done));
  }

  Status Strike() override { return Kill(); }
  std::optional<TimePoint> StruckAt() override { return std::nullopt; }
  Status Restart(const std::string&) override { return Kill(); }

  Status Drain(TimePoint deadline) override {
    return AwaitNothingPrepared(observers_, deadline);
  }

  Result<std::optional<bool>> RecoverAgain() override {
    if (coordinator_ == nullptr) return std::optional<bool>();
    INDOUBT_ASSIGN_OR_RETURN(const RecoveryReport report,
                             coordinator_->Recover(SystemClock().Now() + kStartLimit));
    return std::optional<bool>(
        report.committed + report.rolled_back + report.in_doubt + report.heuristic == 0);
  }

  std::string decision_log() const override { return decision_log_; }

  void Stop() override {
    if (coordinator_ != nullptr) coordinator_->Drain(SystemClock().Now() + kDrainLimit);
    coordinator_ = nullptr;
    executor_.reset();
    observers_.clear();
  }

 private:
  const std::string name_;
  const bool coordinated_;
  std::string decision_log_;
  Participants observers_;  // to look who is in doubt
  std::unique_ptr<TransactionExecutor> executor_;
  Coordinator* coordinator_ = nullptr;  // executor_, when coordinated
};

}  // namespace

std::unique_ptr<Path> MakeEmbeddedPath() { return std::make_unique<InProcessPath>(true); }
std::unique_ptr<Path> MakeRawPath() { return std::make_unique<InProcessPath>(false); }

}  // namespace indoubt
