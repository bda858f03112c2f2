// What the records of a log add up to: commits that have not ended, heuristic
// outcomes, what people decided, and, for outcome_retention, which gids have ended.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/clock.h"
#include "recovery/log_records.h"
#include "recovery/request_index.h"

namespace indoubt {

/// Ended gids as bit blocks of 1024 numbers, so that an hour of them fits. A block
/// is forgotten when its newest gid ended longer than the retention ago, or when
/// there are more than kMaxBlocks. Thread-compatible.
class EndedSet {
 public:
  static constexpr size_t kBlockNumbers = 1024;
  static constexpr size_t kMaxBlocks = 1 << 14;

  explicit EndedSet(Duration retention) : retention_(retention) {}
  EndedSet(EndedSet&&) = default;

  void Add(const Gid& gid, TimePoint now);
  /// Adds the gids of a carried record, which may be partly expired: `wall_now_s`
  /// is the wall clock. A clock that went back only prolongs, up to a whole retention.
  void Add(const EndedRecord& record, TimePoint now, int64_t wall_now_s);
  bool Contains(const Gid& gid, TimePoint now) const;
  /// Forgets what is over; appends the bodies of records of the rest. One at a time: an
  /// hour of them in another form beside the blocks would be several times as long.
  void Carry(TimePoint now, int64_t wall_now_s, std::vector<std::string>& bodies);

  /// Whether `gid` is not newer than the newest that was forgotten, or was here and is
  /// over.
  bool IsForgotten(const Gid& gid, TimePoint now) const;
  /// The newest gid that a forgotten block stood for; none when there was no such.
  const std::optional<Gid>& forgotten() const { return forgotten_; }
  void SetForgotten(const Gid& gid);

 private:
  struct Block {
    bool Has(uint64_t number) const;
    std::array<uint8_t, kBlockNumbers / 8> bits{};  // least significant first
    TimePoint newest{};
  };
  using Blocks = std::map<Gid, Block>;  // by the first gid that a block stands for
  Block& BlockOf(const Gid& gid, TimePoint now);
  bool IsInRecent(const Gid& gid) const;
  Blocks::const_iterator Find(const Gid& gid) const;
  void SetForgottenBlock(Gid first);
  void Expire(TimePoint now);

  const Duration retention_;
  Blocks blocks_;
  // The block added to last, mostly the next one too; none when it may be gone.
  std::optional<Blocks::iterator> recent_;
  std::optional<Gid> forgotten_;
};

/// Thread-compatible.
class LogState {
 public:
  /// `clock` must outlive it.
  explicit LogState(Duration retention, const Clock& clock = SystemClock())
      : clock_(&clock), retention_(retention), ended_(retention), requests_(retention) {}

  void Apply(LogRecord&& record, TimePoint now);
  /// False when `gid` has no commit here that has not ended, or has ended before where its
  /// decision lives at a last resource.
  bool End(const Gid& gid, TimePoint now);

  bool HasUnended() const { return !unended_.empty(); }
  std::vector<Decision> Unended() const;
  std::vector<HeuristicRecord> Heuristics() const;
  std::vector<OperatorDecision> OperatorDecisions() const;
  LoggedState Find(const Gid& gid, TimePoint now) const;
  bool IsForgotten(const Gid& gid, TimePoint now) const { return ended_.IsForgotten(gid, now); }
  /// Up to where ended transactions are not told from others any more.
  const std::optional<Gid>& forgotten() const { return ended_.forgotten(); }
  std::optional<NamedCommit> FindRequest(const std::string& id, TimePoint now) const {
    return requests_.Find(id, now);
  }
  bool HasRoomForRequest(TimePoint now) { return requests_.HasRoom(now); }
  /// The highest incarnation that opened this log; 0: none.
  uint32_t incarnation() const { return incarnation_; }
  /// The node that opened this log last; empty: none has.
  const std::string& node() const { return node_; }

  /// Whether the log has held a decision, or an accepted record.
  bool accepted() const { return accepted_.has_value(); }

  /// Bodies of the records that rebuild this state in an empty log.
  std::vector<std::string> Carry(TimePoint now);

 private:
  struct Undone {
    uint64_t age = 0;  // its place in the order of the log
    std::vector<BranchRecord> branches;
    RequestName request;
  };
  // Flat: most stay for a few milliseconds, and would each take and give back a node.
  using UndoneMap = boost::unordered_flat_map<Gid, Undone, std::hash<Gid>>;
  using UndoneIterator = UndoneMap::const_iterator;
  /// With room for more than this, an empty map is replaced by a small one.
  static constexpr size_t kUsualUndone = 1 << 15;
  /// The unended, oldest first.
  std::vector<UndoneIterator> ByAge() const;
  static Decision DecisionOf(UndoneIterator undone);
  bool RolledBackByPerson(const Gid& gid) const;
  /// The commit of `gid` is not unended any more; false when it was not.
  bool Drop(const Gid& gid, TimePoint now);
  void ExpireOperatorDecisions(int64_t wall_now_s);

  const Clock* clock_;  // a pointer, so that a state can be assigned
  Duration retention_;
  uint32_t incarnation_ = 0;
  std::string node_;
  std::optional<AcceptedRecord> accepted_;
  uint64_t next_age_ = 0;
  UndoneMap unended_;
  std::map<std::pair<Gid, std::string>, HeuristicRecord> heuristics_;
  /// Those against the log stay until they are forgotten, the others for retention_.
  std::map<Gid, OperatorDecision> operator_decisions_;
  EndedSet ended_;
  RequestIndex requests_;
};

}  // namespace indoubt
