#include "coordinator/service.h"

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include "coordinator/execute_service.h"
#include "coordinator/listen_socket.h"
#include "coordinator/service_codec.h"
#include "proto/coordinator.grpc.pb.h"

namespace indoubt {
namespace {

/// Under this name the gid goes ahead of the reply.
constexpr const char* kGidMetadata = "indoubt-gid";

/// How an address of a unix socket begins.
constexpr std::string_view kUnix = "unix:";

class Service final : public v1::Coordinator::CallbackService {
 public:
  explicit Service(TransactionExecutor& executor) : executor_(executor) {}

  grpc::ServerUnaryReactor* Execute(grpc::CallbackServerContext* context,
                                    const v1::ExecuteRequest* request,
                                    v1::ExecuteReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto done = [reactor, reply](TransactionOutcome outcome) {
      EncodeOutcome(std::move(outcome), *reply);
      reactor->Finish(grpc::Status::OK);
    };
    auto decoded = DecodeRequest(*request);
    if (!decoded) {
      done(RefusedBecause(decoded.error()));
      return reactor;
    }
    if (decoded->announce_gid) {
      decoded->before_prepare = [context, reactor](const std::string& gid) {
        context->AddInitialMetadata(kGidMetadata, gid);
        reactor->StartSendInitialMetadata();
        return Status::Ok();
      };
    }
    if (Status timeout = CheckTimeout(decoded->timeout); !timeout.ok()) {
      done(RefusedBecause(timeout));
    } else {
      executor_.Execute(std::move(*decoded), done);
    }
    return reactor;
  }

 private:
  TransactionExecutor& executor_;
};

class Server final : public ExecutorServer {
 public:
  explicit Server(TransactionExecutor& executor) : service_(MakeExecuteService(executor)) {}
  ~Server() override { Shutdown(Duration::zero()); }

  Status Listen(const std::string& address) {
    std::string uri = address;
    if (address.starts_with(kUnix)) {
      const std::string path = address.substr(kUnix.size());
      INDOUBT_ASSIGN_OR_RETURN(auto socket, ListenSocket::At(path));
      socket_.emplace(std::move(socket));
      uri = ListenSocket::Address(path);
    }
    grpc::ServerBuilder builder;
    builder.AddListeningPort(uri, grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      return Status(StatusCode::kUnavailable,
                    fmt::format("cannot listen on {}: is it in use, or not an address of this "
                                "machine?",
                                address));
    }
    return Status::Ok();
  }

  int port() const override { return port_ > 1 ? port_ : 0; }

  void Shutdown(Duration drain) override {
    if (server_ == nullptr) return;
    server_->Shutdown(After(drain));
    server_->Wait();
    server_.reset();
    socket_.reset();  // gRPC has removed the socket itself by now
  }

 private:
  std::unique_ptr<grpc::Service> service_;
  std::optional<ListenSocket> socket_;  // of a unix address
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address, Duration connect_limit) {
  KeepLibraryUp();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReplyBytes);
  // A coordinator that was killed is back within a second of its restart.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // Despite its name this is how long one attempt to connect may take, and the first that
  // fails ends the calls that wait for it.
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(connect_limit);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, static_cast<int>(limit.count()));
  const std::string uri = address.starts_with(kUnix)
                              ? ListenSocket::Address(address.substr(kUnix.size()))
                              : address;
  return grpc::CreateCustomChannel(uri, grpc::InsecureChannelCredentials(), arguments);
}

/// What a person reads when nothing was sent; `why` is gRPC's own text, without the address
/// where that says nothing to anybody.
std::string WhyNotConnected(const std::string& why, const std::string& shown) {
  constexpr std::string_view kLast = "last error: ";
  const size_t last = why.find(kLast);
  std::string cause = last == std::string::npos ? why : why.substr(last + kLast.size());
  for (const std::string_view code : {"UNKNOWN: ", "UNAVAILABLE: "}) {
    if (cause.starts_with(code)) cause.erase(0, code.size());
  }
  const bool slow = cause.find("timed out") != std::string::npos;
  return fmt::format("cannot connect to the coordinator at {}, nothing was sent: {}; {}", shown,
                     cause,
                     slow ? "is it overloaded, or the link slow? allow a longer timeout"
                          : "is `indoubt serve` running there?");
}

class Client final : public TransactionExecutor {
 public:
  Client(const std::shared_ptr<grpc::Channel>& channel, std::string address, std::string shown)
      : address_(std::move(address)),
        shown_(std::move(shown)),
        stub_(v1::Coordinator::NewStub(channel)) {}

  /// No callback runs and no call exists once it has returned: a call's context
  /// keeps the channel, and the channel must go on this thread, not on gRPC's.
  ~Client() override {
    std::unique_lock lock(mutex_);
    all_gone_.wait(lock, [this] { return under_way_ == 0; });
  }

  void Execute(TransactionRequest request, OutcomeCallback done) override {
    if (Status timeout = CheckTimeout(request.timeout); !timeout.ok()) {
      return done(RefusedBecause(timeout));
    }
    if (Status id = CheckRequestId(request.request_id); !id.ok()) {
      return done(RefusedBecause(id));
    }
    {
      const std::lock_guard lock(mutex_);
      ++under_way_;
    }
    // gRPC copies the callback; the call lives until the last copy is gone.
    const std::shared_ptr<Call> call(new Call{.client = *this}, [this](Call* ended) {
      delete ended;
      const std::lock_guard lock(mutex_);
      if (--under_way_ == 0) all_gone_.notify_all();
    });
    EncodeRequest(request, call->request);
    call->started = SystemClock().Now();
    call->done = std::move(done);
    const Duration limit = request.timeout + kReplyMargin;
    call->context.set_deadline(After(request.timeout.count() > 0 ? limit : kLongestCall));
    stub_->async()->Execute(&call->context, &call->request, &call->reply,
                            [call](const grpc::Status& status) { call->Finish(status); });
  }

 private:
  // The server answers "in doubt" by itself some time after the timeout.
  static constexpr Duration kReplyMargin = std::chrono::seconds(20);
  static constexpr Duration kLongestCall = kLongestTimeout + kReplyMargin;

  struct Call {
    const Client& client;
    grpc::ClientContext context{};
    v1::ExecuteRequest request{};
    v1::ExecuteReply reply{};
    TimePoint started{};
    OutcomeCallback done{};

    void Finish(const grpc::Status& status) {
      TransactionOutcome outcome;
      if (status.ok()) {
        outcome = DecodeOutcome(reply);
      } else {
        // Only this says for certain that nothing was sent. Other texts speak of
        // connections, too (a proxy's, a reset one), after the request has gone out.
        const std::string why =
            WithAddressShown(status.error_message(), client.address_, client.shown_);
        const bool never_sent = status.error_code() == grpc::StatusCode::UNAVAILABLE &&
                                (why.starts_with("failed to connect to all addresses") ||
                                 why.starts_with("DNS resolution failed"));
        outcome.outcome = never_sent ? Outcome::kRolledBack : Outcome::kInDoubt;
        outcome.code = StatusCode::kUnavailable;
        outcome.reason = never_sent ? WhyNotConnected(why, client.shown_)
                                    : fmt::format("coordinator at {}: {}", client.shown_, why);
        const auto& early = context.GetServerInitialMetadata();
        if (const auto gid = early.find(kGidMetadata); gid != early.end()) {
          outcome.gid.assign(gid->second.data(), gid->second.size());
        }
      }
      outcome.elapsed = SystemClock().Now() - started;
      done(std::move(outcome));
    }
  };

  std::mutex mutex_;  // guards under_way_
  std::condition_variable all_gone_;
  int under_way_ = 0;
  const std::string address_, shown_;  // for gRPC, and for people
  std::unique_ptr<v1::Coordinator::Stub> stub_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeExecuteService(TransactionExecutor& executor) {
  return std::make_unique<Service>(executor);
}

gpr_timespec After(Duration duration) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(duration.count(), GPR_TIMESPAN));
}

void KeepLibraryUp() { [[maybe_unused]] static const bool up = (grpc_init(), true); }

void SilenceServiceLibrary() {
  if (std::getenv("GRPC_VERBOSITY") != nullptr || std::getenv("GRPC_TRACE") != nullptr) return;
  gpr_set_log_function([](gpr_log_func_args*) {});
}

Result<std::unique_ptr<ExecutorServer>> ExecutorServer::Start(TransactionExecutor& executor,
                                                              const std::string& address) {
  auto server = std::make_unique<Server>(executor);
  INDOUBT_RETURN_IF_ERROR(server->Listen(address));
  return std::unique_ptr<ExecutorServer>(std::move(server));
}

std::string WithAddressShown(std::string text, const std::string& address,
                             const std::string& shown) {
  if (address.empty() || address == shown) return text;
  size_t at = 0;
  while ((at = text.find(address, at)) != std::string::npos) {
    text.replace(at, address.size(), shown);
    at += shown.size();
  }
  return text;
}

std::unique_ptr<TransactionExecutor> MakeExecutorOn(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& address,
    const std::string& shown) {
  return std::make_unique<Client>(channel, address, shown);
}

std::unique_ptr<TransactionExecutor> ConnectExecutor(const std::string& address,
                                                     Duration connect_limit) {
  return std::make_unique<Client>(MakeChannel(address, connect_limit), address, address);
}

}  // namespace indoubt
