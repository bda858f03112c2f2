#include "participants/postgres/core.h"

namespace indoubt::pg {

void UnansweredPrepares::End(const std::string& branch) {
  const auto found = waiting_.find(branch);
  if (found == waiting_.end()) return;
  const auto tasks = std::move(found->second);
  waiting_.erase(found);
  for (const auto& task : tasks) task();
}

bool UnansweredPrepares::RunAfter(const std::string& branch, std::function<void()> task) {
  const auto found = waiting_.find(branch);
  if (found == waiting_.end()) return false;
  found->second.push_back(std::move(task));
  return true;
}

}  // namespace indoubt::pg
