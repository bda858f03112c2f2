#include "coordinator/service.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string_view>

#include <fmt/format.h>
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
    TransactionRequest decoded = DecodeRequest(*request);
    if (decoded.announce_gid) {
      decoded.before_prepare = [context, reactor](const std::string& gid) {
        context->AddInitialMetadata(kGidMetadata, gid);
        reactor->StartSendInitialMetadata();
        return Status::Ok();
      };
    }
    if (Status timeout = CheckTimeout(decoded.timeout); !timeout.ok()) {
      done(RefusedBecause(timeout));
    } else {
      executor_.Execute(std::move(decoded), done);
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

class Client final : public TransactionExecutor {
 public:
  explicit Client(const std::string& address) {
    KeepLibraryUp();
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxReplyBytes);
    // A coordinator that was killed is back within a second of its restart.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
    stub_ = v1::Coordinator::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  }

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
    const std::shared_ptr<Call> call(new Call, [this](Call* ended) {
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
    grpc::ClientContext context;
    v1::ExecuteRequest request;
    v1::ExecuteReply reply;
    TimePoint started;
    OutcomeCallback done;

    void Finish(const grpc::Status& status) {
      TransactionOutcome outcome;
      if (status.ok()) {
        outcome = DecodeOutcome(reply);
      } else {
        // Only this says for certain that nothing was sent. Other texts speak of
        // connections, too (a proxy's, a reset one), after the request has gone out.
        const std::string& why = status.error_message();
        const bool never_sent = status.error_code() == grpc::StatusCode::UNAVAILABLE &&
                                (why.starts_with("failed to connect to all addresses") ||
                                 why.starts_with("DNS resolution failed"));
        outcome.outcome = never_sent ? Outcome::kRolledBack : Outcome::kInDoubt;
        outcome.code = StatusCode::kUnavailable;
        outcome.reason = fmt::format("coordinator: {}", status.error_message());
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

Result<std::unique_ptr<ExecutorServer>> ExecutorServer::Start(TransactionExecutor& executor,
                                                              const std::string& address) {
  auto server = std::make_unique<Server>(executor);
  INDOUBT_RETURN_IF_ERROR(server->Listen(address));
  return std::unique_ptr<ExecutorServer>(std::move(server));
}

std::unique_ptr<TransactionExecutor> ConnectExecutor(const std::string& address) {
  return std::make_unique<Client>(address);
}

}  // namespace indoubt
