// Between a coordinator's process and the stores: what is said may be lost, late, twice
// or out of order, and a store may be away.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "tests/simulation/event_queue.h"
#include "tests/simulation/store.h"
#include "tests/simulation/trace.h"

namespace indoubt::simulation {

class Network {
 public:
  /// All must outlive it.
  Network(EventQueue& events, std::vector<Store>& stores, Nature& nature, Trace& trace)
      : events_(events), stores_(stores), nature_(nature), trace_(trace) {}

  /// From now on all arrives, once and soon; what is under way already stays as it is.
  void Heal() { healed_ = true; }

  /// Asks a store. `on_reply` runs once for each reply that arrives.
  void Send(size_t store, Request request, std::function<void(const Reply&)> on_reply);

 private:
  using OnReply = std::function<void(const Reply&)>;
  void Deliver(size_t store, const std::shared_ptr<const Request>& request,
               const OnReply& on_reply);
  void Answer(size_t store, const Request& request, std::optional<Reply> reply,
              const OnReply& on_reply);
  void Carry(size_t store, Fate fate, std::function<void()> arrive);
  Duration Latency(size_t store);

  EventQueue& events_;
  std::vector<Store>& stores_;
  Nature& nature_;
  Trace& trace_;
  bool healed_ = false;
};

}  // namespace indoubt::simulation
