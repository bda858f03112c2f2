#include "tests/simulation/network.h"

#include <memory>

namespace indoubt::simulation {
namespace {

/// Longer than any timeout of a transaction or of one attempt to tell a decision.
constexpr Duration kLate = std::chrono::seconds(8);

}  // namespace

Duration Network::Latency(size_t store) {
  return healed_ ? std::chrono::milliseconds(1) : nature_.Latency(store);
}

void Network::Carry(size_t store, Fate fate, std::function<void()> arrive) {
  if (fate == Fate::kLost) return;
  Duration latency = Latency(store);
  if (fate == Fate::kLate) latency += kLate;
  if (fate == Fate::kTwice) {
    events_.ScheduleIn(latency + std::chrono::milliseconds(3), arrive);
  }
  events_.ScheduleIn(latency, std::move(arrive));
}

void Network::Send(size_t store, Request request, OnReply on_reply) {
  const Fate fate = healed_ ? Fate::kArrives : nature_.OfRequest(request.kind, store);
  trace_.Add("send", ToString(request.kind), store, request.gid.number,
             static_cast<uint64_t>(fate));
  if (fate == Fate::kLost) return;
  const auto shared = std::make_shared<const Request>(std::move(request));
  Carry(store, fate, [this, store, shared, on_reply = std::move(on_reply)] {
    Deliver(store, shared, on_reply);
  });
}

void Network::Deliver(size_t store, const std::shared_ptr<const Request>& request,
                      const OnReply& on_reply) {
  Store& server = stores_[store];
  if (!server.up()) {
    trace_.Add("refused", ToString(request->kind), store, request->gid.number, 0);
    Carry(store, Fate::kArrives, [on_reply] { on_reply(Reply{}); });
    return;
  }
  server.Handle(*request, [this, store, request, on_reply](std::optional<Reply> reply) {
    Answer(store, *request, std::move(reply), on_reply);
  });
}

void Network::Answer(size_t store, const Request& request, std::optional<Reply> reply,
                     const OnReply& on_reply) {
  trace_.Add("handled", ToString(request.kind), store, request.gid.number,
             reply ? static_cast<uint64_t>(reply->vote.kind) * 16 +
                         static_cast<uint64_t>(reply->ack.kind) * 4 + reply->prepared.size()
                   : 99);
  // A request of a session that is over breaks its connection.
  if (!reply) reply = Reply{};
  const Fate fate = healed_ ? Fate::kArrives : nature_.OfReply(request.kind, store);
  if (fate != Fate::kArrives) {
    trace_.Add("reply", ToString(request.kind), store, request.gid.number,
               static_cast<uint64_t>(fate));
  }
  Carry(store, fate, [on_reply, answer = std::move(*reply)] { on_reply(answer); });
}

}  // namespace indoubt::simulation
