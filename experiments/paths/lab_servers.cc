#include "experiments/paths/lab_servers.h"

#include <signal.h>

#include "coordinator/service.h"
#include "experiments/executors/dual_write_executor.h"
#include "experiments/executors/raw_executor.h"
#include "experiments/paths/path_support.h"

namespace indoubt {
namespace {

constexpr auto kStartLimit = std::chrono::seconds(30);
constexpr auto kDrainLimit = std::chrono::seconds(30);

/// Blocks SIGTERM and SIGINT in this thread and those that it will start.
sigset_t BlockTermination() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

Status ServeUntilTerminated(TransactionExecutor& executor, const std::string& listen,
                            const sigset_t& signals) {
  INDOUBT_ASSIGN_OR_RETURN(const auto server, ExecutorServer::Start(executor, listen));
  int signal = 0;
  sigwait(&signals, &signal);
  server->Shutdown(kDrainLimit);
  return Status::Ok();
}

}  // namespace

Status RunRawServer(const LabServerOptions& options) {
  const sigset_t signals = BlockTermination();
  INDOUBT_ASSIGN_OR_RETURN(Participants participants, MakeShopParticipants(options.stores));
  INDOUBT_RETURN_IF_ERROR(PreflightAll(participants, SystemClock().Now() + kStartLimit));
  const auto executor = MakeRawExecutor(std::move(participants));
  return ServeUntilTerminated(*executor, options.listen, signals);
}

Status RunDualWriteClient(const LabServerOptions& options) {
  const sigset_t signals = BlockTermination();
  INDOUBT_ASSIGN_OR_RETURN(const auto executor,
                           MakeDualWriteExecutor(options.stores, options.clients));
  return ServeUntilTerminated(*executor, options.listen, signals);
}

}  // namespace indoubt
