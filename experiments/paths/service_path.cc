// The paths whose work is done by a process behind the gRPC edge: the coordinator
// (2pc), the raw executor (raw-grpc) and the dual-write client (dual-write).
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/service.h"
#include "experiments/paths/path_support.h"
#include "experiments/paths/process_path.h"

namespace indoubt {
namespace {

constexpr auto kStartLimit = std::chrono::seconds(30);
constexpr auto kStopLimit = std::chrono::seconds(40);

class ServicePath final : public ProcessPath {
 public:
  explicit ServicePath(std::string name) : name_(std::move(name)) {}
  ~ServicePath() override { Stop(); }

  const std::string& name() const override { return name_; }
  Placement placement() const override { return Placement::kEverywhere; }
  std::string victim() const override {
    if (name_ == "2pc") return "coordinator";
    return name_ == "dual-write" ? "client" : "";
  }

  OwnLog own_log() const override {
    if (name_ != "2pc") return {};
    return {.name = "decision log", .file = "decisions/", .fail_stop = true};
  }

  Status Start(const PathContext& context) override {
    context_ = context;
    INDOUBT_ASSIGN_OR_RETURN(participants_, MakeShopParticipants(context.stores));
    if (name_ == "2pc") {
      INDOUBT_RETURN_IF_ERROR(WriteShopConfig(context_.stores, ConfigPath(),
                                              "unix:" + SocketPath(), "unused",
                                              context_.last_resource));
    }
    INDOUBT_RETURN_IF_ERROR(StartProcess(context.strike_point));
    executor_ = ConnectExecutor("unix:" + SocketPath());
    return Status::Ok();
  }

  Status Drain(TimePoint deadline) override {
    INDOUBT_RETURN_IF_ERROR(process_.CheckAlive(ServerName()));
    if (name_ == "dual-write") return Status::Ok();  // nothing of it is ever in doubt
    return AwaitNothingPrepared(participants_, deadline);
  }

  Result<std::optional<bool>> RecoverAgain() override {
    if (name_ != "2pc") return std::optional<bool>();
    // The log has one owner at a time.
    INDOUBT_RETURN_IF_ERROR(process_.Stop(kStopLimit));
    ProcessSpec spec;
    spec.argv = {context_.binary, "recover", "-c", ConfigPath(), "--json"};
    auto output = RunProgram(spec, SystemClock().Now() + kStartLimit);
    if (!output) return output.error().WithContext("a second recovery");
    const size_t brace = output->find('{');
    const auto report = nlohmann::json::parse(
        brace == std::string::npos ? *output : output->substr(brace), nullptr, false);
    if (report.is_discarded()) {
      return Status(StatusCode::kInternal, "indoubt recover --json did not print JSON");
    }
    int64_t acted = 0;
    for (const char* count : {"committed", "rolled_back", "in_doubt", "heuristic"}) {
      acted += report.value(count, int64_t{0});
    }
    return std::optional<bool>(acted == 0);
  }

  std::string decision_log() const override {
    return name_ == "2pc" ? context_.scratch + "/decisions" : "";
  }

  void Stop() override {
    // How it ended matters no more here: the records are complete.
    static_cast<void>(process_.Stop(kStopLimit));
    executor_.reset();
    participants_.clear();
  }

 private:
  std::string ServerName() const { return name_ == "2pc" ? "coordinator" : name_; }
  std::string SocketPath() const { return context_.scratch + "/serve.sock"; }

  Status StartProcess(const std::string& strike_point) override {
    ProcessSpec spec;
    spec.environment = context_.environment;
    spec.argv = {context_.binary};
    if (name_ == "2pc") {
      spec.argv.insert(spec.argv.end(), {"serve", "-c", ConfigPath()});
    } else {
      spec.argv.insert(
          spec.argv.end(),
          {"lab", name_ == "raw-grpc" ? "raw-server" : "dual-write-client", "--listen",
           "unix:" + SocketPath(), "--sqlite", context_.stores.sqlite_path, "--clients",
           std::to_string(context_.clients)});
      // Not as arguments: everybody on the machine can read a process' title.
      spec.environment["INDOUBT_LAB_POSTGRES"] = context_.stores.postgres_dsn;
      spec.environment["INDOUBT_LAB_REDIS"] = context_.stores.redis_uri;
    }
    spec.output_path = fmt::format("{}/{}.log", context_.log_folder, ServerName());
    unlink(SocketPath().c_str());  // a killed server leaves it behind; absent is fine
    INDOUBT_RETURN_IF_ERROR(process_.Start(spec, strike_point, ArmPath()));
    return AwaitSocket(SocketPath(), process_, spec.output_path,
                       SystemClock().Now() + kStartLimit);
  }

  const std::string name_;
  Participants participants_;  // to look who is in doubt
};

}  // namespace

std::unique_ptr<Path> MakeServicePath(const std::string& name) {
  return std::make_unique<ServicePath>(name);
}

}  // namespace indoubt
