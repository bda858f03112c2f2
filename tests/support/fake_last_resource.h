// A last resource in memory, beside fake_participant.h: a decision table, and commits whose
// answers get lost, that come late, or that never come.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "participants/last_resource.h"
#include "tests/support/fake_participant.h"

namespace indoubt {

/// What a table, and the store beside it, outlive the participant with.
class FakeDecisionTable {
 public:
  enum class Fate {
    kCommits,
    kRefuses,     // the work fails
    kLosesReply,  // commits, and nobody hears of it
    kStaysAway,   // no answer, and no commit unless CommitLate() is called
  };
  std::string home = "q4tz7";
  std::deque<Fate> fates;        // usual: commits
  std::deque<bool> ask_answers;  // false: cannot tell; usual: true
  bool down = false;             // asks, lists and removes fail

  // What happened, to be read under `mutex`.
  std::map<Gid, std::vector<BranchRecord>> commits;
  std::set<Gid> aborts;
  std::set<Gid> ever_committed;
  std::map<Gid, std::vector<BranchRecord>> away;  // what CommitLate() commits
  std::vector<Gid> floors;
  int asks = 0;

  mutable std::mutex mutex;

  /// The backend of a dead client goes on; whether it could commit.
  bool CommitLate(const Gid& gid) {
    const std::lock_guard lock(mutex);
    const auto found = away.find(gid);
    if (found == away.end() || !Commit(gid, found->second)) return false;
    away.erase(found);
    return true;
  }
  /// Needs the mutex.
  bool Commit(const Gid& gid, const std::vector<BranchRecord>& others) {
    if (aborts.contains(gid)) return false;
    commits[gid] = others;
    ever_committed.insert(gid);
    return true;
  }
};

class FakeLastBranch : public LastResourceBranch {
 public:
  FakeLastBranch(FakeDecisionTable& table, FakeStore& store, const std::string& name,
                 const Gid& gid)
      : table_(table), inner_(store, name, gid), gid_(gid) {}

  void Work(std::vector<Statement> statements, WorkCallback done) override {
    inner_.Work(std::move(statements), std::move(done));
  }
  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    inner_.Prepare(std::move(last), std::move(done));
  }
  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    inner_.CommitOnePhase(std::move(last), std::move(done));
  }
  void CommitDecision(std::vector<Statement>, std::vector<BranchRecord> others,
                      OnePhaseCallback done) override {
    OnePhaseReply reply{OnePhaseKind::kUnknown, "the test says so", {}};
    {
      const std::lock_guard lock(table_.mutex);
      using Fate = FakeDecisionTable::Fate;
      switch (FakeStore::Next(table_.fates, Fate::kCommits)) {
        case Fate::kCommits:
          reply.kind = table_.Commit(gid_, others) ? OnePhaseKind::kCommitted
                                                   : OnePhaseKind::kRolledBack;
          break;
        case Fate::kRefuses:
          reply.kind = OnePhaseKind::kRolledBack;
          break;
        case Fate::kLosesReply:
          table_.Commit(gid_, others);
          break;
        case Fate::kStaysAway:
          table_.away[gid_] = others;
          break;
      }
    }
    done(std::move(reply));
  }

 private:
  FakeDecisionTable& table_;
  FakeBranch inner_;
  const Gid gid_;
};

/// Answers on the caller's thread, before the call returns.
class FakeLastResource : public FakeParticipant, public LastResource {
 public:
  FakeLastResource(const std::string& name, FakeStore& store, FakeDecisionTable& table)
      : FakeParticipant(name, store), store_(store), table_(table) {}

  LastResource* last_resource() override { return this; }
  std::string home() const override { return table_.home; }
  std::unique_ptr<LastResourceBranch> BeginLast(const Gid& gid, TimePoint) override {
    return std::make_unique<FakeLastBranch>(table_, store_, FakeParticipant::name(), gid);
  }

  void Ask(const Gid& gid, TimePoint, StandingCallback done) override {
    StandingDecision standing{.reason = "the test says so"};
    {
      const std::lock_guard lock(table_.mutex);
      ++table_.asks;
      if (!table_.down && FakeStore::Next(table_.ask_answers, true)) {
        const auto commit = table_.commits.find(gid);
        if (commit != table_.commits.end()) {
          standing = {DecisionOutcome::kCommitted, commit->second, ""};
        } else {
          table_.aborts.insert(gid);
          standing.outcome = DecisionOutcome::kAborted;
        }
      }
    }
    done(std::move(standing));
  }

  Result<std::vector<Decision>> ListDecisions(std::string_view node, const LogId& log,
                                              uint32_t incarnation, TimePoint) override {
    const std::lock_guard lock(table_.mutex);
    if (table_.down) return Status(StatusCode::kUnavailable, "is down; start it");
    std::vector<Decision> decisions;
    for (const auto& [gid, branches] : table_.commits) {
      const bool wanted = gid.node == node && gid.log == log && gid.incarnation != incarnation;
      if (wanted) decisions.push_back({gid, branches});
    }
    return decisions;
  }

  void ForgetDecisions(std::vector<Gid> gids, TimePoint, DoneCallback done) override {
    bool down = false;
    {
      const std::lock_guard lock(table_.mutex);
      down = table_.down;
      for (const Gid& gid : gids) {
        if (!down) table_.commits.erase(gid);
      }
    }
    done(down ? Status(StatusCode::kUnavailable, "is down; start it") : Status::Ok());
  }

  Status CloseBelow(const Gid& floor, TimePoint) override {
    const std::lock_guard lock(table_.mutex);
    table_.floors.push_back(floor);
    return Status::Ok();
  }

 private:
  FakeStore& store_;
  FakeDecisionTable& table_;
};

}  // namespace indoubt
