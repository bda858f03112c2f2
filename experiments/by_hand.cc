#include "experiments/by_hand.h"

#include <utility>

#include <fmt/format.h>

namespace indoubt {
namespace {

Status Refused(std::string why) { return Status(StatusCode::kRefused, std::move(why)); }

}  // namespace

void ByHand::Offer(HandOffer offer) {
  const std::lock_guard lock(mutex_);
  if (offer_ == offer) return;
  offer_ = std::move(offer);
  pending_.reset();
}

void ByHand::Withdraw() {
  const std::lock_guard lock(mutex_);
  offer_.reset();
  pending_.reset();
}

Status ByHand::Ask(const HandRequest& request) {
  const std::lock_guard lock(mutex_);
  if (!offer_) return Refused("no path is under load at this moment");
  if (request.cell != offer_->cell || request.rep != offer_->rep) {
    return Refused(
        fmt::format("{} repetition {} is not what runs now; that is {} repetition {}",
                    request.cell, request.rep, offer_->cell, offer_->rep));
  }
  if (request.target != offer_->target || offer_->target.empty()) {
    return Refused(fmt::format("the path under way, {}, has no {} of its own", offer_->cell,
                               request.target.empty() ? "process" : request.target));
  }
  const bool kills = request.action == HandAction::kKill;
  const std::string& refused = kills ? offer_->kill_refused : offer_->restart_refused;
  if (!refused.empty()) return Refused(offer_->target + ": " + refused);
  if (pending_) return Refused("it is asked for already");
  pending_ = request.action;
  return Status::Ok();
}

std::optional<HandAction> ByHand::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(pending_, std::nullopt);
}

}  // namespace indoubt
