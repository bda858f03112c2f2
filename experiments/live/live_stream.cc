#include "experiments/live/live_stream.h"

#include <chrono>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

namespace indoubt {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kMostSamples = 32;            // waiting; some six seconds of them
constexpr size_t kMostWaiting = 256;           // of all messages
constexpr size_t kMostUnread = 4096;           // bytes that a browser says for no reason
constexpr int kSendBuffer = 64 << 10;          // of the kernel, so that what waits waits here
constexpr std::chrono::seconds kPatience{20};  // for one message to be taken

}  // namespace

std::string LiveEvent(const std::string& kind, const std::string& data) {
  return fmt::format("event: {}\ndata: {}\n\n", kind, data);
}

LiveStream::LiveStream(boost::beast::tcp_stream stream, std::function<void(LiveStream*)> gone)
    : stream_(std::move(stream)), gone_(std::move(gone)) {}

void LiveStream::Run(const std::string& opening) {
  error_code ignored;  // it works without these too
  stream_.socket().set_option(asio::socket_base::send_buffer_size(kSendBuffer), ignored);
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  AwaitItsEnd();
  Queue(std::make_shared<const std::string>(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nretry: 1000\n\n" +
      opening));
}

/// Notices a browser that goes away while nothing is written to it.
void LiveStream::AwaitItsEnd() {
  stream_.expires_never();
  stream_.async_read_some(ignored_.prepare(kMostUnread),
                          [self = shared_from_this()](error_code error, size_t) {
                            if (error) return self->Close();
                            self->AwaitItsEnd();
                          });
}

bool LiveStream::SendSample(const LiveText& message) {
  if (waiting_.size() >= kMostSamples) {
    ++left_out_;
    return false;
  }
  if (left_out_ > 0) {
    Queue(std::make_shared<const std::string>(
        LiveEvent("left-out", fmt::format("{{\"samples\":{}}}", left_out_))));
    left_out_ = 0;
  }
  Queue(message);
  return true;
}

void LiveStream::Send(const LiveText& message) {
  if (waiting_.size() >= kMostWaiting) return Close();
  Queue(message);
}

void LiveStream::Finish() {
  finishing_ = true;
  if (waiting_.empty()) Close();
}

void LiveStream::Queue(const LiveText& message) {
  if (!gone_) return;
  waiting_.push_back(message);
  if (waiting_.size() == 1) WriteNext();
}

void LiveStream::WriteNext() {
  stream_.expires_after(kPatience);
  asio::async_write(stream_, asio::buffer(*waiting_.front()),
                    [self = shared_from_this()](error_code error, size_t) {
                      if (error) return self->Close();
                      self->waiting_.pop_front();
                      if (!self->waiting_.empty()) return self->WriteNext();
                      if (self->finishing_) self->Close();
                    });
}

void LiveStream::Close() {
  if (!gone_) return;
  error_code ignored;  // there is nobody left to tell
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream_.socket().close(ignored);
  std::exchange(gone_, nullptr)(this);
}

}  // namespace indoubt
