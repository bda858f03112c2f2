// The asking end of the control socket.
#include <algorithm>

#include <fmt/format.h>

#include "coordinator/control.h"
#include "coordinator/control_codec.h"
#include "coordinator/control_socket.h"
#include "coordinator/execute_service.h"
#include "coordinator/service.h"
#include "coordinator/service_codec.h"
#include "proto/control.grpc.pb.h"

namespace indoubt {
namespace {

/// For an answer from the process beside us that costs it no work.
constexpr Duration kHello = std::chrono::seconds(2);
/// The coordinator keeps its deadline; its answer needs a moment more.
constexpr Duration kReplyMargin = std::chrono::seconds(15);

/// `text`: the message, fit to be shown.
Status StatusFrom(const grpc::Status& status, const std::string& text) {
  if (status.ok()) return Status::Ok();
  const StatusCode code = DecodeCode(status.error_details());
  if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION && code != StatusCode::kOk) {
    return Status(code, status.error_message());
  }
  return Status(StatusCode::kUnavailable,
                fmt::format("control socket: {}; it is not known whether this was done", text));
}

class Client final : public ControlClient {
 public:
  Client(ControlSocketPath path, const std::string& folder)
      : path_(std::move(path)), shown_(fmt::format("{}/{}", folder, kControlSocketName)) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxReplyBytes);
    // An address through a descriptor may have been another socket's a moment ago.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel(
        path_.address(), grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::Control::NewStub(channel);
    // Connected by the Hello already.
    executor_ = MakeExecutorOn(channel, path_.address(), "unix:" + shown_);
  }

  /// Ok when somebody answers.
  Status Hello() {
    grpc::ClientContext context;
    context.set_deadline(After(kHello));
    v1::HelloReply reply;
    Status status = Told(stub_->Hello(&context, {}, &reply));
    pid_ = reply.pid();
    return status;
  }

  int64_t pid() const override { return pid_; }

  void Execute(TransactionRequest request, OutcomeCallback done) override {
    executor_->Execute(std::move(request), std::move(done));
  }

  Result<RecoveryReport> Recover(TimePoint deadline, std::optional<LogId> adopt) override {
    v1::RecoverRequest request;
    if (adopt) request.set_adopt(std::string(adopt->text()));
    v1::RecoverReply reply;
    INDOUBT_RETURN_IF_ERROR(Ask(&v1::Control::Stub::Recover, request, deadline, reply));
    return DecodeReport(reply);
  }

  Result<TransactionList> List(TimePoint deadline) override {
    v1::ListRequest request;
    v1::TransactionList reply;
    INDOUBT_RETURN_IF_ERROR(Ask(&v1::Control::Stub::List, request, deadline, reply));
    return DecodeList(reply);
  }

  Result<TransactionList> Show(const Gid& gid, TimePoint deadline) override {
    v1::ShowRequest request;
    request.set_gid(gid.ToString());
    v1::TransactionList reply;
    INDOUBT_RETURN_IF_ERROR(Ask(&v1::Control::Stub::Show, request, deadline, reply));
    return DecodeList(reply);
  }

  Result<TransactionList> Resolve(const ResolveRequest& asked, TimePoint deadline) override {
    v1::ResolveRequest request;
    EncodeResolve(asked, request);
    v1::TransactionList reply;
    INDOUBT_RETURN_IF_ERROR(Ask(&v1::Control::Stub::Resolve, request, deadline, reply));
    return DecodeList(reply);
  }

  Status Forget(const Gid& gid, const OperatorTrace& by) override {
    v1::ForgetRequest request;
    request.set_gid(gid.ToString());
    EncodeTrace(by, *request.mutable_by());
    v1::ForgetReply reply;
    grpc::ClientContext context;
    context.set_deadline(After(kReplyMargin));
    return Told(stub_->Forget(&context, request, &reply));
  }

 private:
  /// One call. The coordinator has until `deadline`, and its reply some time more.
  template <typename Request, typename Reply>
  Status Ask(grpc::Status (v1::Control::Stub::*call)(grpc::ClientContext*, const Request&,
                                                     Reply*),
             Request& request, TimePoint deadline, Reply& reply) {
    const Duration left = std::max(deadline - SystemClock().Now(), Duration::zero());
    request.set_timeout_ns(left.count());
    grpc::ClientContext context;
    context.set_deadline(After(left + kReplyMargin));
    return Told((stub_.get()->*call)(&context, request, &reply));
  }

  Status Told(const grpc::Status& status) const {
    return StatusFrom(
        status, WithAddressShown(status.error_message(), path_.address(), "unix:" + shown_));
  }

  const ControlSocketPath path_;
  const std::string shown_;  // the same for people
  std::unique_ptr<TransactionExecutor> executor_;
  std::unique_ptr<v1::Control::Stub> stub_;
  int64_t pid_ = 0;
};

}  // namespace

Result<std::unique_ptr<ControlClient>> ControlClient::Connect(const std::string& folder) {
  auto path = ControlSocketPath::In(folder);
  if (!path) return Status(StatusCode::kUnavailable, path.error().message());
  KeepLibraryUp();
  auto client = std::make_unique<Client>(std::move(*path), folder);
  INDOUBT_RETURN_IF_ERROR(client->Hello());
  return std::unique_ptr<ControlClient>(std::move(client));
}

}  // namespace indoubt
