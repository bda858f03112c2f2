// indoubt serve: the coordinator as a gRPC service.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "cli/output.h"
#include "cli/termination.h"
#include "cli/verbs.h"
#include "cli/world.h"
#include "coordinator/service.h"

namespace indoubt::cli {
namespace {

constexpr auto kRecoveryInterval = std::chrono::seconds(1);
constexpr auto kDrainLimit = std::chrono::seconds(30);
constexpr auto kLockLimit = std::chrono::seconds(5);

/// Aborts what is still undecided after `limit`: a server waits for its calls, and they
/// for their transactions.
class GiveUpLater {
 public:
  GiveUpLater(Coordinator& coordinator, Duration limit)
      : thread_([this, &coordinator, limit] {
          std::unique_lock lock(mutex_);
          if (changed_.wait_for(lock, limit, [this] { return over_; })) return;
          coordinator.GiveUp("the server was stopped");
        }) {}
  ~GiveUpLater() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  GiveUpLater(const GiveUpLater&) = delete;
  GiveUpLater& operator=(const GiveUpLater&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;   // guarded by mutex_
  std::thread thread_;  // last: it uses all of the above
};

int Serve(const std::string& config_path, bool accept_empty_log) {
  auto config = LoadConfig(config_path);
  if (!config) return Fail(config.error());
  if (config->listen.empty()) {
    return Fail(Status(StatusCode::kInvalidArgument,
                       fmt::format("{}: coordinator.listen: is missing; write e.g. "
                                   "listen = \"127.0.0.1:7440\"",
                                   config->file)));
  }
  BlockTermination();
  auto coordinator = StartCoordinator(
      *config, {.lock_timeout = kLockLimit,
                .recovery_interval = kRecoveryInterval,
                .empty_log = accept_empty_log ? EmptyLog::kAccept : EmptyLog::kRefuse});
  if (!coordinator) return Fail(coordinator.error());
  auto control = ControlServer::Start(**coordinator, config->node, config->log_path);
  if (!control) return Fail(control.error());
  auto server = ExecutorServer::Start(**coordinator, config->listen);
  if (!server) return Fail(server.error().WithContext("coordinator.listen"));
  Note(fmt::format("indoubt: serving on {}{}", config->listen,
                   (*server)->port() != 0 ? fmt::format(" (port {})", (*server)->port()) : ""));
  AwaitTermination([&] { return !(*coordinator)->health().ok(); });
  Status health = (*coordinator)->health();
  Note(health.ok() ? "indoubt: stopping; transactions under way are finished first"
                   : "indoubt: stopping: " + health.message());
  {
    const GiveUpLater limit(**coordinator, kDrainLimit);
    (*server)->Shutdown(kDrainLimit);
  }
  (*control)->Shutdown(kDrainLimit);
  (*coordinator)->Drain(SystemClock().Now() + kDrainLimit);
  if (health.ok()) {
    health = (*coordinator)->health();
    if (!health.ok()) Note("indoubt: while stopping: " + health.message());
  }
  return health.ok() ? kDone : ExitCodeFor(health);
}

}  // namespace

void AddServe(Verb program) {
  Verb verb = program.Add("serve", "The coordinator as a gRPC service");
  auto config = std::make_shared<std::string>();
  auto accept = std::make_shared<bool>(false);
  verb.Value("-c,--config", *config, "Configuration file").Required();
  verb.Flag("--accept-empty-log", *accept,
            "Accept for good a log that has decided nothing, beside branches of this node");
  verb.Does([config, accept] { return Serve(*config, *accept); });
}

}  // namespace indoubt::cli
