// A proxy between a client and its server that spoils the connections through it: slow,
// narrow, sliced, cut, reset, silent or held, each direction apart, at a chosen request or
// reply or byte. TCP and unix sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace indoubt {

enum class Direction { kToServer, kToClient };

/// How the bytes of one direction travel.
struct LinkConditions {
  Duration latency{};             // each byte arrives that much later
  Duration jitter{};              // and up to that much more, at random; the order is kept
  uint64_t bytes_per_second = 0;  // of each connection; 0: as fast as they come
  size_t slice = 0;               // most bytes handed on at once; 0: as they come
};

enum class ProxyAction {
  kCut,       // both sides are closed
  kReset,     // both sides are reset (a unix socket knows no reset: closed)
  kHalfOpen,  // both sides stay open and hear nothing any more, not even the other's end
  kHold,      // what comes waits for Release(), the end of a side included
};

/// Strikes once, at the first connection that gets there, and affects that one alone.
///
/// A request is the run of bytes to the server that begins a connection or follows a
/// reply; a reply the run of bytes back that follows a request. Counts begin at Arm().
struct ProxyTrigger {
  Direction direction = Direction::kToClient;
  ProxyAction action = ProxyAction::kCut;
  /// Strikes at the beginning of the nth request (kToServer) or reply (kToClient): nothing
  /// of it gets through. 0: counts bytes instead.
  uint64_t turn = 1;
  /// Only requests that contain this text within one read, and replies to such, count.
  /// Empty: all.
  std::string containing{};
  /// That many bytes get through before it strikes: of the turn, or, with `turn` 0, of the
  /// direction over all connections. With kHold: 0.
  uint64_t after_bytes = 0;
};

/// When a trigger was asked for, and when it was seen to act.
struct ProxyStrike {
  TimePoint armed_at, struck_at;
};

struct ProxyOptions {
  /// "unix:/path" (a leftover file is replaced) or "tcp:127.0.0.1:PORT"; port 0: any.
  std::string listen;
  /// "unix:/path" or "tcp:ADDRESS:PORT", looked up at each connection.
  std::string server;
  uint64_t seed = 1;  // of the jitter
};

/// Thread-safe; what a call changes is in force when it returns. The destructor closes all
/// connections. Buffers 256 KiB a direction and connection, then it stops reading.
class Proxy {
 public:
  /// Listens from now on. kInvalidArgument for an address that is none, kIoError when it
  /// cannot listen there.
  static Result<std::unique_ptr<Proxy>> Start(const ProxyOptions& options);
  virtual ~Proxy() = default;

  /// Where it listens, as "unix:/path" or "tcp:127.0.0.1:PORT".
  virtual const std::string& address() const = 0;

  /// Of all connections, from now on.
  virtual void SetConditions(Direction direction, const LinkConditions& conditions) = 0;
  /// New connections are closed at once.
  virtual void Refuse(bool refuse) = 0;
  /// Acts on all connections that are there.
  virtual void StrikeAll(ProxyAction action) = 0;
  /// Replaces the trigger that was armed, and forgets its strike.
  virtual void Arm(const ProxyTrigger& trigger) = 0;
  /// None until it struck. Who has felt a strike finds it here.
  virtual std::optional<ProxyStrike> strike() = 0;
  /// Waits for it; none when it has not come by `deadline`.
  virtual std::optional<ProxyStrike> AwaitStrike(TimePoint deadline) = 0;
  /// What kHold holds goes on.
  virtual void Release() = 0;
  /// Disarms, lets new connections in, drops all conditions, releases what is held, and
  /// closes what is half open.
  virtual void Heal() = 0;

  virtual size_t connections() = 0;
};

}  // namespace indoubt
