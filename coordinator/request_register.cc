#include "coordinator/request_register.h"

#include <utility>

namespace indoubt {

RequestRegister::Turn RequestRegister::Enter(const std::string& id, OutcomeCallback& done) {
  const std::lock_guard lock(mutex_);
  const auto [place, first] = waiting_.try_emplace(id);
  if (first) return Turn::kFirst;
  if (place->second.size() >= kMaxWaiting) return Turn::kTooMany;
  place->second.push_back(std::move(done));
  return Turn::kWaits;
}

void RequestRegister::Answer(const std::string& id, const TransactionOutcome& outcome) {
  std::vector<OutcomeCallback> waiting;
  {
    const std::lock_guard lock(mutex_);
    const auto place = waiting_.find(id);
    if (place == waiting_.end()) return;
    waiting = std::move(place->second);
    waiting_.erase(place);
  }
  for (const OutcomeCallback& done : waiting) {
    TransactionOutcome again = outcome;
    again.asked_before = true;
    done(std::move(again));
  }
}

}  // namespace indoubt
