// One transaction over two participants in memory; exit code 0 when both committed.
#include <cstdio>
#include <future>

#include <indoubt/coordinator/coordinator.h>

#include "support/fake_participant.h"
#include "support/memory_log.h"

int main() {
  indoubt::FakeStore left, right;
  std::vector<std::unique_ptr<indoubt::Participant>> participants;
  participants.push_back(std::make_unique<indoubt::FakeParticipant>("left", left));
  participants.push_back(std::make_unique<indoubt::FakeParticipant>("right", right));
  auto coordinator = indoubt::Coordinator::Start(
      {.node = "alone"}, std::make_unique<indoubt::MemoryLog>(), std::move(participants));
  if (!coordinator) {
    std::printf("%s\n", coordinator.error().ToString().c_str());
    return 1;
  }
  indoubt::TransactionRequest request;
  request.statements = {{"left", {"x", {}, {}}}, {"right", {"y", {}, {}}}};
  std::promise<indoubt::TransactionOutcome> ended;
  (*coordinator)->Execute(std::move(request), [&ended](indoubt::TransactionOutcome outcome) {
    ended.set_value(std::move(outcome));
  });
  const indoubt::TransactionOutcome outcome = ended.get_future().get();
  std::printf("%s %s\n", ToString(outcome.outcome), outcome.reason.c_str());
  const bool both = left.committed.size() == 1 && right.committed.size() == 1;
  return outcome.outcome == indoubt::Outcome::kCommitted && both ? 0 : 1;
}
