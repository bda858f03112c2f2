#include "recovery/log_state.h"

#include <algorithm>
#include <chrono>
#include <ctime>

namespace indoubt {
namespace {

/// Seconds since 1970 of a time that WallClockNow() has written; none of other text.
std::optional<int64_t> SecondsOf(const std::string& at) {
  tm parts{};
  if (strptime(at.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return {};
  return timegm(&parts);
}

Gid FirstOfBlock(Gid gid) {
  gid.number -= gid.number % EndedSet::kBlockNumbers;
  gid.home = {};  // numbers are unique without it
  return gid;
}

}  // namespace

bool EndedSet::Block::Has(uint64_t number) const {
  const uint64_t i = number % kBlockNumbers;
  return (bits[i / 8] >> (i % 8) & 1) != 0;
}

bool EndedSet::IsInRecent(const Gid& gid) const {
  if (!recent_) return false;
  const Gid& first = (*recent_)->first;
  return gid.number - gid.number % kBlockNumbers == first.number &&
         gid.incarnation == first.incarnation && gid.log == first.log && gid.node == first.node;
}

EndedSet::Block& EndedSet::BlockOf(const Gid& gid, TimePoint now) {
  if (!IsInRecent(gid)) {
    const Gid first = FirstOfBlock(gid);
    auto it = blocks_.find(first);
    if (it == blocks_.end()) {
      if (blocks_.size() >= kMaxBlocks) Expire(now);
      it = blocks_.emplace(first, Block{}).first;
    }
    recent_ = it;
  }
  return (*recent_)->second;
}

EndedSet::Blocks::const_iterator EndedSet::Find(const Gid& gid) const {
  if (IsInRecent(gid)) return *recent_;
  return blocks_.find(FirstOfBlock(gid));
}

void EndedSet::Add(const Gid& gid, TimePoint now) {
  Block& block = BlockOf(gid, now);
  const uint64_t i = gid.number % kBlockNumbers;
  block.bits[i / 8] = static_cast<uint8_t>(block.bits[i / 8] | 1u << (i % 8));
  block.newest = std::max(block.newest, now);
}

void EndedSet::Add(const EndedRecord& record, TimePoint now, int64_t wall_now_s) {
  const Duration age =
      std::chrono::seconds(std::max<int64_t>(0, wall_now_s - record.ended_at_s));
  if (age >= retention_) return SetForgottenBlock(record.first);
  Block& block = BlockOf(record.first, now);
  for (size_t i = 0; i < std::min(record.bits.size(), block.bits.size()); ++i) {
    block.bits[i] = static_cast<uint8_t>(block.bits[i] | static_cast<uint8_t>(record.bits[i]));
  }
  block.newest = std::max(block.newest, now - age);
}

bool EndedSet::Contains(const Gid& gid, TimePoint now) const {
  const auto it = Find(gid);
  return it != blocks_.end() && it->second.Has(gid.number) &&
         now - it->second.newest < retention_;
}

void EndedSet::SetForgotten(const Gid& gid) {
  const auto age = [](const Gid& one) { return std::pair(one.incarnation, one.number); };
  if (!forgotten_ || age(*forgotten_) < age(gid)) forgotten_ = gid;
}

bool EndedSet::IsForgotten(const Gid& gid, TimePoint now) const {
  const auto age = [](const Gid& one) { return std::pair(one.incarnation, one.number); };
  if (forgotten_ && age(gid) <= age(*forgotten_)) return true;
  const auto it = Find(gid);
  return it != blocks_.end() && it->second.Has(gid.number) &&
         now - it->second.newest >= retention_;
}

// Forgets the block that stands at `first`.
void EndedSet::SetForgottenBlock(Gid first) {
  first.number += kBlockNumbers - 1;
  SetForgotten(first);
}

void EndedSet::Expire(TimePoint now) {
  recent_.reset();
  std::erase_if(blocks_, [&](const auto& entry) {
    const bool over = now - entry.second.newest >= retention_;
    if (over) SetForgottenBlock(entry.first);
    return over;
  });
  if (blocks_.size() < kMaxBlocks) return;
  // Still full: the older half goes, so that this scan stays rare.
  std::vector<TimePoint> times;
  for (const auto& [first, block] : blocks_) times.push_back(block.newest);
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  const TimePoint oldest_kept = *middle;
  size_t to_go = times.size() / 2;
  std::erase_if(blocks_, [&](const auto& entry) {
    const bool goes = to_go > 0 && entry.second.newest <= oldest_kept;
    if (goes) {
      --to_go;
      SetForgottenBlock(entry.first);
    }
    return goes;
  });
}

void EndedSet::Carry(TimePoint now, int64_t wall_now_s, std::vector<std::string>& bodies) {
  Expire(now);
  bodies.reserve(bodies.size() + blocks_.size());
  for (const auto& [first, block] : blocks_) {
    std::string bits(block.bits.begin(), block.bits.end());
    bits.resize(bits.find_last_not_of('\0') + 1);
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - block.newest);
    bodies.push_back(
        EncodeLogRecord(EndedRecord{first, std::move(bits), wall_now_s - age.count()}));
  }
}

void LogState::Apply(LogRecord&& record, TimePoint now) {
  if (auto* decision = std::get_if<Decision>(&record)) {
    if (!accepted_) accepted_ = AcceptedRecord{"its first decision", WallClockNow()};
    if (ended_.Contains(decision->gid, now)) return;  // decided again, and it has ended
    if (RolledBackByPerson(decision->gid)) return;
    if (!decision->request.empty()) requests_.Add({decision->gid, decision->request});
    const auto [it, added] = unended_.try_emplace(std::move(decision->gid));
    if (added) {
      it->second = {next_age_++, std::move(decision->branches), std::move(decision->request)};
    }
  } else if (auto* end = std::get_if<EndRecord>(&record)) {
    End(end->gid, now);
  } else if (auto* heuristic = std::get_if<HeuristicRecord>(&record)) {
    const auto key = std::pair(heuristic->gid, heuristic->participant);
    heuristics_.insert_or_assign(key, std::move(*heuristic));
  } else if (auto* forget = std::get_if<ForgetRecord>(&record)) {
    heuristics_.erase(heuristics_.lower_bound({forget->gid, ""}),
                      heuristics_.upper_bound({forget->gid, std::string(64, '\x7f')}));
    // Nothing of it is known from now on, and a request of its id must get an answer.
    if (RolledBackByPerson(forget->gid)) requests_.Free(forget->gid);
    operator_decisions_.erase(forget->gid);
  } else if (auto* opened = std::get_if<OpenedRecord>(&record)) {
    incarnation_ = std::max(incarnation_, opened->incarnation);
    node_ = std::move(opened->node);
    if (opened->forgotten) ended_.SetForgotten(*opened->forgotten);
  } else if (auto* ended = std::get_if<EndedRecord>(&record)) {
    ended_.Add(*ended, now, clock_->WallSeconds());
  } else if (auto* accepted = std::get_if<AcceptedRecord>(&record)) {
    accepted_ = std::move(*accepted);
  } else if (auto* decided = std::get_if<OperatorDecision>(&record)) {
    if (decided->decided == DecisionOutcome::kAborted) Drop(decided->gid, now);
    operator_decisions_.insert_or_assign(decided->gid, std::move(*decided));
  } else if (auto* answered = std::get_if<AnsweredRecord>(&record)) {
    requests_.Add(*answered, now, clock_->WallSeconds());
  }
}

bool LogState::RolledBackByPerson(const Gid& gid) const {
  if (operator_decisions_.empty()) return false;
  const auto it = operator_decisions_.find(gid);
  return it != operator_decisions_.end() && it->second.decided == DecisionOutcome::kAborted;
}

bool LogState::Drop(const Gid& gid, TimePoint now) {
  const auto undone = unended_.find(gid);
  if (undone == unended_.end()) return false;
  if (!undone->second.request.empty()) requests_.End(undone->second.request.id, now);
  unended_.erase(undone);
  if (unended_.empty() && unended_.bucket_count() > kUsualUndone) unended_ = UndoneMap();
  return true;
}

bool LogState::End(const Gid& gid, TimePoint now) {
  if (!Drop(gid, now)) {
    // Decided at its last resource: its commit was never in this log.
    if (gid.home.empty() || ended_.Contains(gid, now)) return false;
  }
  ended_.Add(gid, now);
  return true;
}

std::vector<LogState::UndoneIterator> LogState::ByAge() const {
  std::vector<UndoneIterator> undone;
  undone.reserve(unended_.size());
  for (auto it = unended_.begin(); it != unended_.end(); ++it) undone.push_back(it);
  std::sort(undone.begin(), undone.end(),
            [](const auto& a, const auto& b) { return a->second.age < b->second.age; });
  return undone;
}

Decision LogState::DecisionOf(UndoneIterator undone) {
  return {undone->first, undone->second.branches, undone->second.request};
}

std::vector<Decision> LogState::Unended() const {
  std::vector<Decision> decisions;
  decisions.reserve(unended_.size());
  for (const auto& it : ByAge()) decisions.push_back(DecisionOf(it));
  return decisions;
}

std::vector<HeuristicRecord> LogState::Heuristics() const {
  std::vector<HeuristicRecord> records;
  for (const auto& [key, record] : heuristics_) records.push_back(record);
  return records;
}

std::vector<OperatorDecision> LogState::OperatorDecisions() const {
  std::vector<OperatorDecision> decisions;
  decisions.reserve(operator_decisions_.size());
  for (const auto& [gid, decision] : operator_decisions_) decisions.push_back(decision);
  return decisions;
}

LoggedState LogState::Find(const Gid& gid, TimePoint now) const {
  if (unended_.count(gid) > 0) return LoggedState::kCommitted;
  // What a person decided stands, whatever the log itself has said.
  if (const auto it = operator_decisions_.find(gid); it != operator_decisions_.end()) {
    return it->second.decided == DecisionOutcome::kCommitted ? LoggedState::kEnded
                                                             : LoggedState::kUnknown;
  }
  return ended_.Contains(gid, now) ? LoggedState::kEnded : LoggedState::kUnknown;
}

// What a person decided as the log would have is of interest only as long as the
// outcome itself.
void LogState::ExpireOperatorDecisions(int64_t wall_now_s) {
  std::erase_if(operator_decisions_, [&](const auto& entry) {
    const OperatorDecision& decision = entry.second;
    const std::optional<int64_t> at = SecondsOf(decision.by.at);
    return !decision.IsHeuristic() && unended_.count(decision.gid) == 0 && at &&
           std::chrono::seconds(wall_now_s - *at) >= retention_;
  });
}

std::vector<std::string> LogState::Carry(TimePoint now) {
  ExpireOperatorDecisions(clock_->WallSeconds());
  std::vector<std::string> bodies;
  if (accepted_) bodies.push_back(EncodeLogRecord(*accepted_));
  for (const auto& [key, record] : heuristics_) bodies.push_back(EncodeLogRecord(record));
  for (const auto& [gid, decided] : operator_decisions_) {
    bodies.push_back(EncodeLogRecord(decided));
  }
  ended_.Carry(now, clock_->WallSeconds(), bodies);
  for (const AnsweredRecord& record : requests_.Carry(now, clock_->WallSeconds())) {
    bodies.push_back(EncodeLogRecord(record));
  }
  for (const auto& it : ByAge()) bodies.push_back(EncodeLogRecord(DecisionOf(it)));
  return bodies;
}

}  // namespace indoubt
