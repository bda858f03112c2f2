#include "recovery/request_index.h"

#include <algorithm>
#include <chrono>
#include <tuple>

namespace indoubt {

void RequestIndex::Add(const NamedCommit& commit) {
  requests_[commit.request.id] = Answered{commit, std::nullopt};
}

void RequestIndex::End(const std::string& id, TimePoint now) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  found->second.ended = now;
  by_end_.emplace_back(now, id);
}

void RequestIndex::Add(const AnsweredRecord& record, TimePoint now, int64_t wall_now_s) {
  const Duration age =
      std::chrono::seconds(std::max<int64_t>(0, wall_now_s - record.ended_at_s));
  if (age >= retention_) return;
  // The same id may have been given again after it was forgotten; that one counts.
  const std::string& id = record.commit.request.id;
  if (!requests_.try_emplace(id, Answered{record.commit, now - age}).second) return;
  by_end_.emplace_back(now - age, id);
}

void RequestIndex::Free(const Gid& gid) {
  std::erase_if(requests_, [&](const auto& entry) { return entry.second.commit.gid == gid; });
}

std::optional<NamedCommit> RequestIndex::Find(const std::string& id, TimePoint now) const {
  const auto found = requests_.find(id);
  if (found == requests_.end() || IsOver(found->second, now)) return std::nullopt;
  return found->second.commit;
}

bool RequestIndex::HasRoom(TimePoint now) {
  Expire(now);
  return requests_.size() < kMaxRequests;
}

void RequestIndex::Expire(TimePoint now) {
  while (!by_end_.empty() && now - by_end_.front().first >= retention_) {
    const auto found = requests_.find(by_end_.front().second);
    // An id that was given again belongs to a later end.
    if (found != requests_.end() && IsOver(found->second, now)) requests_.erase(found);
    by_end_.pop_front();
  }
}

std::vector<AnsweredRecord> RequestIndex::Carry(TimePoint now, int64_t wall_now_s) {
  Expire(now);
  std::vector<AnsweredRecord> records;
  for (const auto& [_, answered] : requests_) {
    if (!answered.ended || IsOver(answered, now)) continue;
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - *answered.ended);
    records.push_back({answered.commit, wall_now_s - age.count()});
  }
  // As they were carried in, so that the next one expires the oldest first.
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) {
    return std::tie(a.ended_at_s, a.commit.request.id) <
           std::tie(b.ended_at_s, b.commit.request.id);
  });
  return records;
}

}  // namespace indoubt
