// What the decision log says, record after record: the same rules when it is read
// at the start and while it is written.
#pragma once

#include <deque>
#include <map>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "proto/records.pb.h"
#include "recovery/decision_log.h"

namespace indoubt {

/// Not thread-safe. Memory is bounded by the commits without an end record, the
/// heuristic outcomes, and kMostEnded ended transactions.
class LogState {
 public:
  static constexpr size_t kMostEnded = 200'000;

  explicit LogState(Duration outcome_retention) : outcome_retention_(outcome_retention) {}

  /// kCorrupt for a record that this version cannot mean.
  Status Apply(const records::Record& record, TimePoint now);

  void Commit(Decision decision);
  void End(const Gid& gid, TimePoint now);
  void Add(HeuristicRecord record);
  void Forget(const Gid& gid);

  uint32_t incarnation() const { return incarnation_; }
  void set_incarnation(uint32_t incarnation) { incarnation_ = incarnation; }
  std::vector<Decision> Unended() const;
  const std::vector<HeuristicRecord>& heuristics() const { return heuristics_; }
  LoggedState Find(const Gid& gid, TimePoint now) const;

  /// Everything that must outlive the segments so far, as records, without the
  /// closing Checkpoint.
  std::vector<records::Record> Carried() const;

 private:
  void Expire(TimePoint now);

  Duration outcome_retention_;
  uint32_t incarnation_ = 0;
  std::map<Gid, std::vector<BranchRecord>> unended_;  // by age
  std::vector<HeuristicRecord> heuristics_;
  std::unordered_map<Gid, TimePoint> ended_;
  std::deque<Gid> ended_order_;
};

/// Records as the log writes them.
records::Record CommitRecord(const Decision& decision);
records::Record EndRecord(const Gid& gid);
records::Record HeuristicToRecord(const HeuristicRecord& heuristic);
records::Record ForgetRecord(const Gid& gid);

}  // namespace indoubt
