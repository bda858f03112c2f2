#include "experiments/live/live_server.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "experiments/live/live_guard.h"
#include "experiments/live/live_session.h"
#include "experiments/live/live_stream.h"

namespace indoubt {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kMostListeners = 16;
constexpr int kMostSessions = 48;
constexpr std::chrono::milliseconds kAfterAcceptError{100};

}  // namespace

class LiveServer::Impl final : public LiveHost {
 public:
  explicit Impl(LiveServerOptions options) : options_(std::move(options)) {}

  ~Impl() override {
    context_.stop();
    if (thread_.joinable()) thread_.join();
    streams_.clear();  // their sockets belong to the context, which goes before the map
  }

  Status Begin() {
    error_code error;
    acceptor_.open(tcp::v4(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind({asio::ip::address_v4::loopback(), options_.port}, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return Status(StatusCode::kUnavailable,
                    fmt::format("cannot serve the live page at 127.0.0.1:{}: {}; name another "
                                "port, or none (--live) for a free one",
                                options_.port, error.message()));
    }
    guard_.emplace(RandomSecret(), acceptor_.local_endpoint().port());
    Accept();
    thread_ = std::thread([this] { context_.run(); });
    return Status::Ok();
  }

  const LiveGuard& guard() const override { return *guard_; }
  const LiveServerOptions& options() const override { return options_; }
  bool HasRoom() const override { return streams_.size() < kMostListeners && !closing_; }
  void SessionEnded() override { --sessions_; }

  void Listen(boost::beast::tcp_stream stream) override {
    const auto listener = std::make_shared<LiveStream>(
        std::move(stream), [this](LiveStream* gone) { Gone(gone); });
    streams_.emplace(listener.get(), listener);
    listening_ = streams_.size();
    listener->Run(options_.opening());
  }

  void SendSample(std::string event) {
    Each(std::move(event), [this](LiveStream& listener, const LiveText& text) {
      if (!listener.SendSample(text)) ++left_out_;
    });
  }

  void Send(std::string event) {
    Each(std::move(event),
         [](LiveStream& listener, const LiveText& text) { listener.Send(text); });
  }

  void Close(std::string last_event, std::chrono::milliseconds patience) {
    Each(std::move(last_event), [](LiveStream& listener, const LiveText& text) {
      listener.Send(text);
      listener.Finish();
    });
    asio::post(context_, [this] {
      error_code ignored;  // nothing is accepted any more, whatever it says
      acceptor_.close(ignored);
      const std::lock_guard lock(mutex_);
      closing_ = true;
      all_gone_.notify_all();
    });
    std::unique_lock lock(mutex_);
    all_gone_.wait_for(lock, patience, [this] { return closing_ && listening_ == 0; });
  }

  int64_t left_out() const { return left_out_; }

 private:
  void Each(std::string event, std::function<void(LiveStream&, const LiveText&)> send) {
    const auto text = std::make_shared<const std::string>(std::move(event));
    asio::post(context_, [this, text, send = std::move(send)] {
      // A stream that closes takes itself out of the map.
      const auto all = streams_;
      for (const auto& [key, listener] : all) send(*listener, text);
    });
  }

  void Gone(LiveStream* gone) {
    streams_.erase(gone);
    const std::lock_guard lock(mutex_);
    listening_ = streams_.size();
    all_gone_.notify_all();
  }

  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
      if (error) return AcceptLater();
      if (sessions_ < kMostSessions) {
        ++sessions_;
        std::make_shared<LiveSession>(std::move(socket), *this)->Run();
      }
      Accept();
    });
  }

  /// Out of file descriptors, say: to ask at once again would only burn the processor.
  void AcceptLater() {
    again_.expires_after(kAfterAcceptError);
    again_.async_wait([this](error_code error) {
      if (!error) Accept();
    });
  }

  const LiveServerOptions options_;
  std::optional<LiveGuard> guard_;
  int sessions_ = 0;                                            // of the thread
  std::map<LiveStream*, std::shared_ptr<LiveStream>> streams_;  // of the thread
  std::atomic<int64_t> left_out_{0};
  std::mutex mutex_;
  std::condition_variable all_gone_;
  std::atomic<size_t> listening_{0};  // changed under mutex_ when it falls
  std::atomic<bool> closing_{false};  // changed under mutex_
  // Last: what is still under way when it goes refers to all of the above.
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer again_{context_};
  std::thread thread_;
};

LiveServer::LiveServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LiveServer::~LiveServer() = default;

Result<std::unique_ptr<LiveServer>> LiveServer::Start(LiveServerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  INDOUBT_RETURN_IF_ERROR(impl->Begin());
  return std::unique_ptr<LiveServer>(new LiveServer(std::move(impl)));
}

const std::string& LiveServer::url() const { return impl_->guard().url(); }
void LiveServer::SendSample(std::string event) { impl_->SendSample(std::move(event)); }
void LiveServer::Send(std::string event) { impl_->Send(std::move(event)); }
void LiveServer::Close(std::string last_event, std::chrono::milliseconds patience) {
  impl_->Close(std::move(last_event), patience);
}
int64_t LiveServer::left_out() const { return impl_->left_out(); }

}  // namespace indoubt
