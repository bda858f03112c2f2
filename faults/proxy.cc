#include "faults/proxy.h"

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "faults/proxy_link.h"

namespace indoubt {
namespace {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;

Result<Protocol::endpoint> ParseAddress(const std::string& text) {
  const Status wrong(StatusCode::kInvalidArgument,
                     fmt::format("\"{}\" is neither unix:/path nor tcp:ADDRESS:PORT", text));
  if (text.starts_with("unix:/")) {
    const std::string path = text.substr(5);
    if (path.size() > 107) {  // sun_path, unix(7)
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("{} is longer than a unix socket's path may be (107)", path));
    }
    return Protocol::endpoint(asio::local::stream_protocol::endpoint(path));
  }
  const size_t colon = text.rfind(':');
  if (!text.starts_with("tcp:") || colon < 5) return wrong;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(text.substr(4, colon - 4), error);
  char* end = nullptr;
  const unsigned long port = std::strtoul(text.c_str() + colon + 1, &end, 10);
  if (error || *end != '\0' || end == text.c_str() + colon + 1 || port > 65535) return wrong;
  return Protocol::endpoint(
      asio::ip::tcp::endpoint(address, static_cast<unsigned short>(port)));
}

/// Bytes go out as they come, one-byte slices above all.
void NoDelay(ProxySocket& socket) {
  boost::system::error_code ignored;  // a unix socket has no such option
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
}

class AsioProxy final : public Proxy {
 public:
  AsioProxy(const ProxyOptions& options, Protocol::endpoint server)
      : server_(std::move(server)), address_(options.listen), acceptor_(io_) {
    state_.random.seed(options.seed);
    state_.struck = [this] { Struck(); };
  }

  ~AsioProxy() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    if (address_.starts_with("unix:")) unlink(address_.c_str() + 5);
  }

  Status Listen(const Protocol::endpoint& endpoint) {
    boost::system::error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (address_.starts_with("unix:")) unlink(address_.c_str() + 5);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return Status(StatusCode::kIoError,
                    fmt::format("cannot listen on {}: {}", address_, error.message()));
    }
    if (address_.starts_with("tcp:")) {
      asio::ip::tcp::endpoint bound;
      const Protocol::endpoint raw = acceptor_.local_endpoint();
      std::memcpy(bound.data(), raw.data(), raw.size());
      address_ = address_.substr(0, address_.rfind(':') + 1) + std::to_string(bound.port());
    }
    Accept();
    thread_ = std::thread([this] { io_.run(); });
    return Status::Ok();
  }

  const std::string& address() const override { return address_; }

  void SetConditions(Direction direction, const LinkConditions& conditions) override {
    OnThread([&] { state_.conditions[static_cast<size_t>(direction)] = conditions; });
  }
  void Refuse(bool refuse) override {
    OnThread([&] { refuse_ = refuse; });
  }
  void StrikeAll(ProxyAction action) override {
    OnThread([&] {
      for (const auto& link : Links()) link->Act(action);
    });
  }
  void Arm(const ProxyTrigger& trigger) override {
    OnThread([&] {
      state_.trigger = trigger;
      state_.turns = state_.bytes = 0;
      state_.armed_at = SystemClock().Now();
      const std::lock_guard lock(mutex_);
      strike_.reset();
    });
  }
  std::optional<ProxyStrike> strike() override {
    // Behind the strike that a client may have felt already.
    std::optional<ProxyStrike> strike;
    OnThread([&] {
      const std::lock_guard lock(mutex_);
      strike = strike_;
    });
    return strike;
  }
  std::optional<ProxyStrike> AwaitStrike(TimePoint deadline) override {
    std::unique_lock lock(mutex_);
    struck_.wait_until(lock, deadline, [this] { return strike_.has_value(); });
    return strike_;
  }
  void Release() override {
    OnThread([&] {
      for (const auto& link : Links()) link->Release();
    });
  }
  void Heal() override {
    OnThread([&] {
      state_.trigger.reset();
      state_.conditions = {};
      refuse_ = false;
      for (const auto& link : Links()) {
        if (link->half_open()) link->Close();
        link->Release();
      }
    });
  }
  size_t connections() override {
    size_t count = 0;
    OnThread([&] { count = Links().size(); });
    return count;
  }

 private:
  /// Runs `task` on the proxy's thread and waits for it.
  template <typename Task>
  void OnThread(Task task) {
    std::promise<void> done;
    asio::post(io_, [&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  void Struck() {
    const std::lock_guard lock(mutex_);
    strike_ = ProxyStrike{state_.armed_at, SystemClock().Now()};
    struck_.notify_all();
  }

  /// Those that are open.
  std::vector<std::shared_ptr<ProxyLink>> Links() {
    std::vector<std::shared_ptr<ProxyLink>> open;
    std::erase_if(links_, [&](const std::weak_ptr<ProxyLink>& link) {
      const auto alive = link.lock();
      const bool gone = !alive || alive->closed();
      if (!gone) open.push_back(alive);
      return gone;
    });
    return open;
  }

  void Accept() {
    acceptor_.async_accept([this](boost::system::error_code error, ProxySocket client) {
      if (error == asio::error::operation_aborted) return;
      if (!error && !refuse_) Connect(std::move(client));
      Accept();
    });
  }

  /// A client whose server is not there hears the end at once.
  void Connect(ProxySocket client) {
    const auto shared = std::make_shared<ProxySocket>(std::move(client));
    const auto server = std::make_shared<ProxySocket>(io_);
    server->async_connect(server_, [this, shared, server](boost::system::error_code error) {
      if (error) return;
      NoDelay(*shared);
      NoDelay(*server);
      const auto link =
          std::make_shared<ProxyLink>(state_, std::move(*shared), std::move(*server));
      Links();  // drops what has ended
      links_.push_back(link);
      link->Start();
    });
  }

  const Protocol::endpoint server_;
  std::string address_;
  ProxyState state_;
  asio::io_context io_{1};
  Acceptor acceptor_;
  std::vector<std::weak_ptr<ProxyLink>> links_;  // an ended one frees itself
  bool refuse_ = false;

  std::mutex mutex_;
  std::condition_variable struck_;
  std::optional<ProxyStrike> strike_;  // guarded by mutex_

  std::thread thread_;  // last: it uses everything above
};

}  // namespace

Result<std::unique_ptr<Proxy>> Proxy::Start(const ProxyOptions& options) {
  INDOUBT_ASSIGN_OR_RETURN(const Protocol::endpoint listen, ParseAddress(options.listen));
  INDOUBT_ASSIGN_OR_RETURN(const Protocol::endpoint server, ParseAddress(options.server));
  auto proxy = std::make_unique<AsioProxy>(options, server);
  INDOUBT_RETURN_IF_ERROR(proxy->Listen(listen));
  return std::unique_ptr<Proxy>(std::move(proxy));
}

}  // namespace indoubt
