#include "coordinator/request_register.h"

#include <utility>

namespace indoubt {

RequestRegister::Turn RequestRegister::Enter(const RequestName& request,
                                             OutcomeCallback& done) {
  const std::lock_guard lock(mutex_);
  const auto [place, first] = under_way_.try_emplace(request.id, UnderWay{request, {}});
  if (first) return Turn::kFirst;
  UnderWay& one = place->second;
  if (!one.request.MayBe(request)) return Turn::kAnother;
  if (one.waiting.size() >= kMaxWaiting) return Turn::kTooMany;
  one.waiting.push_back(std::move(done));
  return Turn::kWaits;
}

void RequestRegister::Answer(const std::string& id, const TransactionOutcome& outcome) {
  std::vector<OutcomeCallback> waiting;
  {
    const std::lock_guard lock(mutex_);
    const auto place = under_way_.find(id);
    if (place == under_way_.end()) return;
    waiting = std::move(place->second.waiting);
    under_way_.erase(place);
  }
  for (const OutcomeCallback& done : waiting) {
    TransactionOutcome again = outcome;
    again.asked_before = !outcome.gid.empty();  // else it was refused, and nothing has run
    done(std::move(again));
  }
}

}  // namespace indoubt
