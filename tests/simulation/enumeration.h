// A nature that leaves nothing out: what it may choose is enumerated, one schedule after
// the other, within a budget of faults.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "tests/simulation/nature.h"

namespace indoubt::simulation {

/// All ways through a tree of choices, leaf by leaf. The tree itself is not kept: running
/// the same choices again leads to the same place.
class ChoiceTree {
 public:
  /// The choice of this run at this point, below `options`.
  size_t Choose(size_t options);
  /// Goes on to the next run; false after the last.
  bool Next();

  std::vector<size_t> choices() const;
  /// Only this run: choices beyond are 0.
  void Repeat(const std::vector<size_t>& choices);

 private:
  struct Branching {
    size_t chosen = 0, options = 0;
  };
  std::vector<Branching> path_;
  size_t at_ = 0;
};

/// What comes of one participant's prepare, or of a last resource's commit.
enum class PrepareFate {
  kYes,
  kReadOnly,
  kNo,
  kRequestLost,
  kReplyLost,  // done, and nobody knows
  kLate,       // done long after everybody gave up
  kUnderWay,   // of a last resource: begun in time, and ended when everybody had given up
};
inline constexpr PrepareFate kPrepareFates[] = {
    PrepareFate::kYes,         PrepareFate::kReadOnly,  PrepareFate::kNo,
    PrepareFate::kRequestLost, PrepareFate::kReplyLost, PrepareFate::kLate};

inline constexpr PrepareFate kDecideFates[] = {
    PrepareFate::kYes,       PrepareFate::kNo,   PrepareFate::kRequestLost,
    PrepareFate::kReplyLost, PrepareFate::kLate, PrepareFate::kUnderWay};

/// What one exploration holds fixed; the rest is enumerated.
struct Plan {
  std::vector<PrepareFate> prepares;  // by store
  bool last_is_quickest = false;      // the order of answers
  int faults = 2;  // deaths, lost or duplicated messages, failed syncs: so many in all
  bool last_resource = false;  // the last store is one

  /// "yrnqal:2<" and back, "yrnqaU:2<" with a last resource; for messages and the environment.
  std::string ToString() const;
  static Result<Plan> Parse(const std::string& text);
};

/// Death before each step; each commit, roll back and question and their answers lost or
/// twice, prepares, last resources' commits and their answers twice; each sync failed, with and
/// without an effect.
class ExhaustiveNature final : public Nature {
 public:
  ExhaustiveNature(ChoiceTree& tree, const Plan& plan)
      : tree_(tree), plan_(plan), faults_left_(plan.faults) {}

  /// Bad luck begins.
  void Arm() { armed_ = true; }

  Duration Latency(size_t store) override;
  Fate OfRequest(MessageKind kind, size_t store) override;
  Fate OfReply(MessageKind kind, size_t store) override;
  VoteKind Vote(size_t store) override;
  Duration CommitTime(size_t store) override;
  Death BeforeStep(const std::function<bool()>& unsynced) override;
  DiskFate OfDisk(DiskStep step) override;
  Duration FlushDelay() override { return {}; }
  Duration RestartDelay() override { return std::chrono::milliseconds(10); }
  uint64_t Number() override { return 1; }

 private:
  /// 0, or a fault below `options` that is paid for.
  size_t Fault(size_t options);

  ChoiceTree& tree_;
  const Plan& plan_;
  int faults_left_;
  bool armed_ = false;
};

}  // namespace indoubt::simulation
