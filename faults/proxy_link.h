// One connection through the proxy: a socket on each side and the bytes under way.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "faults/proxy.h"

namespace indoubt {

using ProxySocket = boost::asio::generic::stream_protocol::socket;

/// What all connections share. Used on the proxy's thread only.
struct ProxyState {
  std::array<LinkConditions, 2> conditions{};  // by Direction
  std::optional<ProxyTrigger> trigger;
  TimePoint armed_at{};
  uint64_t turns = 0, bytes = 0;  // counted for the trigger
  std::function<void()> struck;   // called when the trigger has acted
  std::mt19937_64 random;
};

/// Keeps itself alive through the operations that it has under way. The proxy's thread only.
class ProxyLink : public std::enable_shared_from_this<ProxyLink> {
 public:
  ProxyLink(ProxyState& state, ProxySocket client, ProxySocket server);

  void Start();
  void Act(ProxyAction action);
  void Release();
  void Close();
  bool half_open() const { return half_open_; }
  bool closed() const { return closed_; }

 private:
  struct Chunk {
    std::string bytes;  // empty: the sender's end
    TimePoint due;
  };
  /// The bytes of one direction.
  struct Stream {
    Stream(ProxySocket& from_socket, ProxySocket& to_socket)
        : from(from_socket), to(to_socket), timer(from_socket.get_executor()) {}
    ProxySocket& from;
    ProxySocket& to;
    boost::asio::steady_timer timer;
    std::array<char, 16384> buffer;
    std::deque<Chunk> queue;
    size_t queued_bytes = 0;
    TimePoint last_due{};
    bool reading = false, writing = false, ended = false, sent_end = false;
  };

  Stream& In(Direction direction) { return streams_[static_cast<size_t>(direction)]; }
  void Read(Direction direction);
  void OnRead(Direction direction, std::string_view bytes);
  /// How many of `bytes` get through before the trigger acts; none: it does not.
  std::optional<size_t> Strikes(Direction direction, std::string_view bytes, bool new_turn);
  void Strike(Direction direction, std::string_view bytes, size_t let_through);
  void Enqueue(Direction direction, std::string_view bytes);
  void Write(Direction direction);
  void OnWritten(Direction direction, bool failed);
  void CloseWhenWritten();

  ProxyState& state_;
  ProxySocket client_, server_;
  std::array<Stream, 2> streams_;
  std::optional<Direction> last_;  // whose bytes came last
  bool request_matches_ = false;   // the last request contained the trigger's text
  bool half_open_ = false, held_ = false, closing_ = false, reset_ = false, closed_ = false;
};

}  // namespace indoubt
