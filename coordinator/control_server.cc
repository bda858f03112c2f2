// The serving end of the control socket.
#include <algorithm>

#include <fmt/format.h>
#include <unistd.h>

#include "coordinator/control.h"
#include "coordinator/control_codec.h"
#include "coordinator/control_socket.h"
#include "coordinator/execute_service.h"
#include "proto/control.grpc.pb.h"

namespace indoubt {
namespace {

/// Until when a caller with this patience is answered.
TimePoint DeadlineFor(int64_t timeout_ns) {
  const Duration patience =
      std::clamp(Duration(timeout_ns), Duration::zero(), Duration(kLongestTimeout));
  return SystemClock().Now() + patience;
}

/// Our own codes go as a word beside gRPC's: there are more of them.
grpc::Status Failed(const Status& why) {
  return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, why.message(),
                      ToString(why.code()));
}

/// Calls block on the stores, so each has a thread of gRPC's.
class Service final : public v1::Control::Service {
 public:
  Service(Coordinator& coordinator, std::string node)
      : coordinator_(coordinator), node_(std::move(node)) {}

  grpc::Status Hello(grpc::ServerContext*, const v1::HelloRequest*,
                     v1::HelloReply* reply) override {
    reply->set_node(node_);
    reply->set_pid(getpid());
    return grpc::Status::OK;
  }

  grpc::Status Recover(grpc::ServerContext*, const v1::RecoverRequest* request,
                       v1::RecoverReply* reply) override {
    auto adopt = DecodeAdopt(request->adopt());
    if (!adopt) return Failed(adopt.error());
    const auto report = coordinator_.Recover(DeadlineFor(request->timeout_ns()), *adopt);
    if (!report) return Failed(report.error());
    EncodeReport(*report, *reply);
    return grpc::Status::OK;
  }

  grpc::Status List(grpc::ServerContext*, const v1::ListRequest* request,
                    v1::TransactionList* reply) override {
    return Answer(coordinator_.List(DeadlineFor(request->timeout_ns())), reply);
  }

  grpc::Status Show(grpc::ServerContext*, const v1::ShowRequest* request,
                    v1::TransactionList* reply) override {
    const auto gid = Gid::Parse(request->gid());
    if (!gid) return Failed(gid.error());
    return Answer(coordinator_.Show(*gid, DeadlineFor(request->timeout_ns())), reply);
  }

  grpc::Status Resolve(grpc::ServerContext*, const v1::ResolveRequest* request,
                       v1::TransactionList* reply) override {
    const auto decoded = DecodeResolve(*request);
    if (!decoded) return Failed(decoded.error());
    return Answer(coordinator_.Resolve(*decoded, DeadlineFor(request->timeout_ns())), reply);
  }

  grpc::Status Forget(grpc::ServerContext*, const v1::ForgetRequest* request,
                      v1::ForgetReply*) override {
    const auto gid = Gid::Parse(request->gid());
    if (!gid) return Failed(gid.error());
    const Status done = coordinator_.Forget(*gid, DecodeTrace(request->by()));
    return done.ok() ? grpc::Status::OK : Failed(done);
  }

 private:
  static grpc::Status Answer(const Result<TransactionList>& list, v1::TransactionList* reply) {
    if (!list) return Failed(list.error());
    EncodeList(*list, *reply);
    return grpc::Status::OK;
  }

  Coordinator& coordinator_;
  const std::string node_;
};

class Server final : public ControlServer {
 public:
  Server(Coordinator& coordinator, const std::string& node, ControlSocketPath path)
      : path_(std::move(path)),
        control_(coordinator, node),
        execute_(MakeExecuteService(coordinator)) {}
  ~Server() override { Shutdown(Duration::zero()); }

  Status Listen(const std::string& folder) {
    // Left by a process that was killed: this one has the log's lock.
    INDOUBT_RETURN_IF_ERROR(path_.Remove());
    grpc::ServerBuilder builder;
    builder.AddListeningPort(path_.address(), grpc::InsecureServerCredentials());
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.RegisterService(&control_);
    builder.RegisterService(execute_.get());
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      return Status(
          StatusCode::kUnavailable,
          fmt::format("cannot listen on the control socket {}/{}: is /proc there, and "
                      "may this user write the folder?",
                      folder, kControlSocketName));
    }
    return path_.MakePrivate();
  }

  void Shutdown(Duration drain) override {
    if (server_ == nullptr) return;
    // Whoever comes from now on waits for the log's lock.
    (void)path_.Remove();
    server_->Shutdown(After(drain));
    server_->Wait();
    server_.reset();
  }

 private:
  const ControlSocketPath path_;
  Service control_;
  std::unique_ptr<grpc::Service> execute_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::Start(Coordinator& coordinator,
                                                            const std::string& node,
                                                            const std::string& folder) {
  INDOUBT_ASSIGN_OR_RETURN(ControlSocketPath path, ControlSocketPath::In(folder));
  auto server = std::make_unique<Server>(coordinator, node, std::move(path));
  INDOUBT_RETURN_IF_ERROR(server->Listen(folder));
  return std::unique_ptr<ControlServer>(std::move(server));
}

}  // namespace indoubt
