// Which commit answered a client's request id: kept from the commit until
// outcome_retention after its end, so that a request that is asked again is not done
// twice. Bounded: a full index takes no new id, since dropping one would let it be done
// again.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "recovery/log_records.h"

namespace indoubt {

/// Thread-compatible.
class RequestIndex {
 public:
  static constexpr size_t kMaxRequests = 1 << 17;

  explicit RequestIndex(Duration retention) : retention_(retention) {}

  /// `commit` answers its request, and has not ended.
  void Add(const NamedCommit& commit);
  /// It has ended.
  void End(const std::string& id, TimePoint now);
  /// A carried one. `wall_now_s` is the wall clock; one that went back only prolongs, up
  /// to a whole retention.
  void Add(const AnsweredRecord& record, TimePoint now, int64_t wall_now_s);

  /// `gid` answers no request any more: its id is free.
  void Free(const Gid& gid);

  std::optional<NamedCommit> Find(const std::string& id, TimePoint now) const;
  /// Whether another id can be taken on.
  bool HasRoom(TimePoint now);

  /// Forgets what is over; returns the others that have ended as records.
  std::vector<AnsweredRecord> Carry(TimePoint now, int64_t wall_now_s);

 private:
  struct Answered {
    NamedCommit commit;
    std::optional<TimePoint> ended;
  };
  bool IsOver(const Answered& answered, TimePoint now) const {
    return answered.ended && now - *answered.ended >= retention_;
  }
  void Expire(TimePoint now);

  const Duration retention_;
  std::unordered_map<std::string, Answered> requests_;
  std::deque<std::pair<TimePoint, std::string>> by_end_;  // oldest end first, nearly
};

}  // namespace indoubt
