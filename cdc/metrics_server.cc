#include "cdc/metrics_server.h"

#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

namespace indoubt {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kPatience{5};
constexpr uint64_t kLongestRequest = 8192;

// One connection, one request, one answer.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const std::function<std::string()>& text)
      : stream_(std::move(socket)), text_(text) {}

  // What is under way keeps the session: it goes with its last callback.
  void Run() {
    stream_.expires_after(kPatience);
    parser_.header_limit(kLongestRequest);
    parser_.body_limit(kLongestRequest);
    http::async_read(stream_, buffer_, parser_,
                     [self = shared_from_this()](error_code error, size_t) {
                       if (!error) self->Answer();
                     });
  }

 private:
  void Answer() {
    const auto& request = parser_.get();
    const bool reads = request.method() == http::verb::get;
    const bool known = request.target() == "/metrics";
    response_.result(!reads  ? http::status::method_not_allowed
                     : known ? http::status::ok
                             : http::status::not_found);
    response_.set(http::field::content_type, "text/plain; version=0.0.4");
    response_.body() = reads && known ? text_() : "GET /metrics\n";
    response_.keep_alive(false);
    response_.prepare_payload();
    stream_.expires_after(kPatience);
    http::async_write(stream_, response_, [self = shared_from_this()](error_code, size_t) {
      error_code ignored;  // the client has what it gets
      self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    });
  }

  beast::tcp_stream stream_;
  const std::function<std::string()>& text_;
  beast::flat_buffer buffer_;
  http::request_parser<http::string_body> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

class MetricsServer::Impl {
 public:
  explicit Impl(std::function<std::string()> text) : text_(std::move(text)) {}
  ~Impl() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Result<tcp::endpoint> Resolve(const std::string& address) {
    const size_t colon = address.rfind(':');
    if (colon == std::string::npos || colon == 0) {
      return Status(StatusCode::kInvalidArgument, "a metrics address is HOST:PORT");
    }
    std::string host = address.substr(0, colon);
    if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    error_code error;
    tcp::resolver resolver(context_);
    const auto found =
        resolver.resolve(host, address.substr(colon + 1), tcp::resolver::passive, error);
    if (error || found.empty()) return Failed(address, error);
    return found.begin()->endpoint();
  }

  Status Listen(const std::string& address) {
    INDOUBT_ASSIGN_OR_RETURN(const tcp::endpoint endpoint, Resolve(address));
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return Failed(address, error);
    address_ = fmt::format("{}:{}", address.substr(0, address.rfind(':')),
                           acceptor_.local_endpoint().port());
    Accept();
    thread_ = std::thread([this] { context_.run(); });
    return Status::Ok();
  }

  const std::string& address() const { return address_; }

 private:
  static Status Failed(const std::string& address, const error_code& error) {
    return Status(StatusCode::kUnavailable,
                  fmt::format("cannot serve metrics on {}: {}", address, error.message()));
  }

  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (!error) std::make_shared<Session>(std::move(socket), text_)->Run();
      if (error != asio::error::operation_aborted) Accept();
    });
  }

  const std::function<std::string()> text_;
  std::string address_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  std::thread thread_;
};

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MetricsServer::~MetricsServer() = default;

Result<std::unique_ptr<MetricsServer>> MetricsServer::Start(const std::string& address,
                                                            std::function<std::string()> text) {
  auto impl = std::make_unique<Impl>(std::move(text));
  INDOUBT_RETURN_IF_ERROR(impl->Listen(address));
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(impl)));
}

Status MetricsServer::Check(const std::string& address) {
  return Impl({}).Resolve(address).status();
}

const std::string& MetricsServer::address() const { return impl_->address(); }

}  // namespace indoubt
