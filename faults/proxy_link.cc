#include "faults/proxy_link.h"

#include <algorithm>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <sys/socket.h>

namespace indoubt {
namespace {

constexpr size_t kMostBuffered = 256 << 10;

void CloseSocket(ProxySocket& socket, bool reset) {
  boost::system::error_code ignored;  // it is closed whatever this says
  if (reset) {
    const linger at_once{1, 0};
    setsockopt(socket.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  socket.close(ignored);
}

}  // namespace

ProxyLink::ProxyLink(ProxyState& state, ProxySocket client, ProxySocket server)
    : state_(state),
      client_(std::move(client)),
      server_(std::move(server)),
      streams_{Stream(client_, server_), Stream(server_, client_)} {}

void ProxyLink::Start() {
  Read(Direction::kToServer);
  Read(Direction::kToClient);
}

void ProxyLink::Act(ProxyAction action) {
  switch (action) {
    case ProxyAction::kReset:
      reset_ = true;
      [[fallthrough]];
    case ProxyAction::kCut:
      CloseWhenWritten();
      return;
    case ProxyAction::kHalfOpen:
      half_open_ = true;
      return;
    case ProxyAction::kHold:
      held_ = true;
      return;
  }
}

void ProxyLink::Release() {
  held_ = false;
  Write(Direction::kToServer);
  Write(Direction::kToClient);
}

void ProxyLink::Close() {
  if (std::exchange(closed_, true)) return;
  for (Stream& stream : streams_) stream.timer.cancel();
  CloseSocket(client_, reset_);
  CloseSocket(server_, reset_);
}

void ProxyLink::CloseWhenWritten() {
  closing_ = true;
  held_ = false;
  const auto empty = [](const Stream& stream) { return stream.queue.empty(); };
  if (std::all_of(streams_.begin(), streams_.end(), empty)) Close();
}

void ProxyLink::Read(Direction direction) {
  Stream& stream = In(direction);
  if (stream.reading || stream.ended || closing_ || closed_) return;
  if (stream.queued_bytes >= kMostBuffered) return;  // goes on when some is written
  stream.reading = true;
  stream.from.async_read_some(
      boost::asio::buffer(stream.buffer),
      [self = shared_from_this(), direction](boost::system::error_code error, size_t count) {
        Stream& read = self->In(direction);
        read.reading = false;
        if (self->closed_ || self->closing_) return;
        if (error) {
          read.ended = true;
          if (self->half_open_) {  // told to nobody, until nobody is left
            if (self->streams_[0].ended && self->streams_[1].ended) self->Close();
            return;
          }
          // A reset is handed on as an end: the other side's next write tells it.
          return self->Enqueue(direction, "");
        }
        self->OnRead(direction, std::string_view(read.buffer.data(), count));
        self->Read(direction);
      });
}

void ProxyLink::OnRead(Direction direction, std::string_view bytes) {
  if (half_open_) return;
  const bool new_turn = last_ != direction;
  last_ = direction;
  if (state_.trigger && direction == Direction::kToServer) {
    if (new_turn) request_matches_ = false;
    // Pipelined requests may follow each other without a reply in between.
    request_matches_ =
        request_matches_ || bytes.find(state_.trigger->containing) != std::string_view::npos;
  }
  const auto let_through = Strikes(direction, bytes, new_turn);
  if (let_through) return Strike(direction, bytes, *let_through);
  Enqueue(direction, bytes);
}

std::optional<size_t> ProxyLink::Strikes(Direction direction, std::string_view bytes,
                                         bool new_turn) {
  if (!state_.trigger || state_.trigger->direction != direction) return std::nullopt;
  const ProxyTrigger& trigger = *state_.trigger;
  if (trigger.turn == 0) {
    const uint64_t before = state_.bytes;
    state_.bytes += bytes.size();
    if (state_.bytes <= trigger.after_bytes) return std::nullopt;
    return trigger.after_bytes - before;
  }
  if (direction == Direction::kToServer && !trigger.containing.empty()) {
    // A matching read counts, wherever in a run of requests it stands.
    if (bytes.find(trigger.containing) == std::string_view::npos) return std::nullopt;
  } else {
    if (!new_turn) return std::nullopt;
    if (!trigger.containing.empty() && !request_matches_) return std::nullopt;
  }
  if (++state_.turns != trigger.turn) return std::nullopt;
  return std::min<uint64_t>(trigger.after_bytes, bytes.size());
}

void ProxyLink::Strike(Direction direction, std::string_view bytes, size_t let_through) {
  const ProxyAction action = state_.trigger->action;
  state_.trigger.reset();
  if (action == ProxyAction::kHold) {
    held_ = true;
    Enqueue(direction, bytes);
  } else {
    if (let_through > 0) Enqueue(direction, bytes.substr(0, let_through));
    Act(action);
  }
  state_.struck();
}

void ProxyLink::Enqueue(Direction direction, std::string_view bytes) {
  Stream& stream = In(direction);
  const LinkConditions& how = state_.conditions[static_cast<size_t>(direction)];
  const size_t whole = bytes.size();
  const size_t slice = how.slice == 0 ? std::max<size_t>(whole, 1) : how.slice;
  TimePoint due = SystemClock().Now() + how.latency;
  if (how.jitter > Duration::zero()) {
    due +=
        Duration(std::uniform_int_distribution<int64_t>(0, how.jitter.count())(state_.random));
  }
  for (size_t at = 0; at < whole || at == 0; at += slice) {
    std::string piece(bytes.substr(at, slice));
    due = std::max(due, stream.last_due);  // the order is kept
    if (how.bytes_per_second > 0) {
      due += std::chrono::nanoseconds(piece.size() * 1'000'000'000 / how.bytes_per_second);
    }
    stream.last_due = due;
    stream.queued_bytes += piece.size();
    stream.queue.push_back({std::move(piece), due});
  }
  Write(direction);
}

void ProxyLink::Write(Direction direction) {
  Stream& stream = In(direction);
  if (stream.writing || stream.queue.empty() || held_ || closed_) return;
  stream.writing = true;
  const auto self = shared_from_this();
  const Chunk& chunk = stream.queue.front();
  if (chunk.due > SystemClock().Now()) {
    stream.timer.expires_at(chunk.due);
    stream.timer.async_wait([self, direction](boost::system::error_code) {
      self->In(direction).writing = false;
      self->Write(direction);
    });
    return;
  }
  if (chunk.bytes.empty()) {
    boost::system::error_code ignored;  // the other side may be gone, too
    stream.to.shutdown(ProxySocket::shutdown_send, ignored);
    stream.sent_end = true;
    return OnWritten(direction, false);
  }
  boost::asio::async_write(stream.to, boost::asio::buffer(chunk.bytes),
                           [self, direction](boost::system::error_code error, size_t) {
                             self->OnWritten(direction, static_cast<bool>(error));
                           });
}

void ProxyLink::OnWritten(Direction direction, bool failed) {
  Stream& stream = In(direction);
  stream.writing = false;
  if (closed_) return;
  stream.queued_bytes -= stream.queue.front().bytes.size();
  stream.queue.pop_front();
  const Direction back =
      direction == Direction::kToServer ? Direction::kToClient : Direction::kToServer;
  const bool over = stream.sent_end && In(back).sent_end;
  if (over || (failed && !half_open_)) return Close();
  if (closing_) return CloseWhenWritten(), Write(direction);
  Read(direction);
  Write(direction);
}

}  // namespace indoubt
