#include "experiments/hand_faults.h"

#include <thread>
#include <utility>

#include <fmt/format.h>

#include "experiments/ndjson.h"

namespace indoubt {
namespace {

/// A process that has got its SIGKILL may still wait for its disk.
constexpr auto kDeathLimit = std::chrono::seconds(30);
constexpr auto kPoll = std::chrono::milliseconds(1);

std::optional<int64_t> NanosOf(const std::optional<TimePoint>& time) {
  if (!time) return std::nullopt;
  return time->time_since_epoch().count();
}

}  // namespace

HandFaults::HandFaults(Path& path, ByHand* hand, std::string cell, int rep)
    : path_(path), hand_(hand) {
  offer_.cell = std::move(cell);
  offer_.rep = rep;
  offer_.target = path.victim();
}

HandFaults::~HandFaults() {
  if (hand_ != nullptr) hand_->Withdraw();
}

Result<std::string> HandFaults::Step(const FaultDirector& planned) {
  if (hand_ == nullptr) return std::string();
  if (Down() && !kills_.back().observed) {
    kills_.back().observed = path_.StruckAt();
    if (kills_.back().observed) return Active();
    return std::string();
  }
  offer_ = Offer(planned);
  hand_->Offer(offer_);
  const auto asked = hand_->Take();
  if (!asked) return std::string();
  if (*asked == HandAction::kKill) return Kill();
  return Restart(planned.PointToArm());
}

HandOffer HandFaults::Offer(const FaultDirector& planned) const {
  HandOffer offer = offer_;
  if (offer.target.empty()) {
    offer.kill_refused = offer.restart_refused =
        "this path has no process of its own whose death is the path's";
  } else if (Down()) {
    offer.kill_refused = "it is dead already";
    offer.restart_refused.clear();
  } else if (planned.Breaks(offer.target)) {
    offer.kill_refused = offer.restart_refused =
        planned.Active().empty() ? "the scenario is about to break it"
                                 : "the scenario has broken it, and mends it by itself";
  } else {
    offer.kill_refused.clear();
    offer.restart_refused = "it is running";
  }
  return offer;
}

std::string HandFaults::Kill() {
  const TimePoint now = SystemClock().Now();
  const Status killed = path_.Kill();
  // It may have ended by itself: that is for the path to say.
  if (!killed.ok()) return offer_.target + " cannot be killed: " + killed.message();
  kills_.push_back({now, std::nullopt, std::nullopt});
  return std::string();
}

Result<std::string> HandFaults::Restart(const std::string& strike_point) {
  INDOUBT_RETURN_IF_ERROR(path_.Restart(strike_point));
  kills_.back().healed = SystemClock().Now();
  return offer_.target + " restarted by hand";
}

std::string HandFaults::Active() const {
  return Down() && kills_.back().observed ? offer_.target + " killed by hand" : "";
}

std::optional<HandOffer> HandFaults::offer() const {
  return hand_ == nullptr ? std::nullopt : std::optional(offer_);
}

Status HandFaults::HealNow() {
  if (hand_ != nullptr) hand_->Withdraw();
  if (!Down()) return Status::Ok();
  Death& death = kills_.back();
  const TimePoint deadline = SystemClock().Now() + kDeathLimit;
  while (!death.observed) {
    death.observed = path_.StruckAt();
    if (!death.observed && SystemClock().Now() > deadline) {
      return Status(StatusCode::kDeadlineExceeded,
                    fmt::format("the {} did not die of SIGKILL", offer_.target));
    }
    if (!death.observed) std::this_thread::sleep_for(kPoll);
  }
  return Restart("").status();
}

nlohmann::json HandFaults::Records() const {
  nlohmann::json records = nlohmann::json::array();
  for (const Death& death : kills_) {
    records.push_back({{"kind", "kill"},
                       {"target", offer_.target},
                       {"point", nullptr},
                       {"by_hand", true},
                       {"requested_at_ns", death.requested.time_since_epoch().count()},
                       {"observed_at_ns", Nanos(NanosOf(death.observed))},
                       {"healed_at_ns", Nanos(NanosOf(death.healed))}});
  }
  return records;
}

}  // namespace indoubt
