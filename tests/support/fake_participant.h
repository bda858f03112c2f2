// A participant in memory whose answers a test chooses. It remembers everything
// that it was told, so that a test can say what must not have happened.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "participants/participant.h"

namespace indoubt {

/// The store behind a fake participant; a test keeps it while coordinators come and
/// go, as a real store does. Thread-safe.
class FakeStore {
 public:
  /// What the next calls answer; the usual answer when the queue is empty.
  std::deque<VoteKind> votes;           // usual: yes
  std::deque<AckKind> commit_acks;      // usual: done
  std::deque<AckKind> rollback_acks;    // usual: done
  std::deque<OnePhaseKind> one_phases;  // usual: committed
  /// Unreachable while set: votes unknown, acks retry, listing and preflight fail.
  bool down = false;
  /// Prepares are not answered while set; AnswerHeld() answers them.
  bool hold_prepares = false;
  std::vector<std::string> problems, warnings;  // of the preflight

  // What happened, to be read under `mutex`.
  std::set<Gid> prepared, committed, rolled_back, forgotten;
  std::set<Gid> kept;          // outcome records; a test puts them there
  std::set<BranchId> renamed;  // prepared when the participant had another name
  std::map<Gid, int> commits_told, rollbacks_told;
  std::map<Gid, Token> commit_tokens;
  int branches_dropped = 0;  // destroyed without a prepare
  int listings = 0;
  std::vector<std::function<void()>> held;
  std::function<void()> on_list;  // called within a listing, unlocked
  /// Where answers run, when set; otherwise within the call. `drain` then returns
  /// once all of them have run.
  std::function<void(std::function<void()>)> deliver;
  std::function<void()> drain;
  /// Sets queues at random before each answer, when set; called under `mutex`.
  std::function<void(FakeStore&)> chaos;

  mutable std::mutex mutex;

  /// Answers the prepares that were held back.
  void AnswerHeld() {
    std::vector<std::function<void()>> answers;
    {
      std::lock_guard lock(mutex);
      answers.swap(held);
      hold_prepares = false;
    }
    for (auto& answer : answers) answer();
  }
  void Deliver(std::function<void()> answer) const {
    if (deliver) {
      deliver(std::move(answer));
    } else {
      answer();
    }
  }
  template <typename F>
  auto With(F f) {
    std::lock_guard lock(mutex);
    return f(*this);
  }
  template <typename T>
  static T Next(std::deque<T>& queue, T usual) {
    if (queue.empty()) return usual;
    T next = queue.front();
    queue.pop_front();
    return next;
  }
};

/// A branch of a fake participant.
class FakeBranch : public Branch {
 public:
  FakeBranch(FakeStore& store, std::string name, const Gid& gid)
      : store_(store), name_(std::move(name)), gid_(gid) {}
  ~FakeBranch() override {
    std::lock_guard lock(store_.mutex);
    if (!asked_) ++store_.branches_dropped;
  }

  void Work(std::vector<Statement> statements, WorkCallback done) override {
    worked_ = Results(statements);
    done(worked_);
  }

  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    asked_ = true;
    PrepareReply reply;
    reply.results = Results(last);
    if (last.empty()) reply.results = worked_;
    bool hold = false;
    {
      std::lock_guard lock(store_.mutex);
      if (store_.chaos) store_.chaos(store_);
      const VoteKind usual = store_.down ? VoteKind::kUnknown : VoteKind::kYes;
      reply.vote.kind = FakeStore::Next(store_.votes, usual);
      reply.vote.token = "token of " + name_;
      reply.vote.reason = "the test says so";
      // An unknown vote is a lost reply: the branch is there.
      const bool there =
          reply.vote.kind == VoteKind::kYes || reply.vote.kind == VoteKind::kUnknown;
      if (there && !store_.down) store_.prepared.insert(gid_);
      hold = store_.hold_prepares;
      if (hold) store_.held.push_back([done, reply] { done(reply); });
    }
    if (!hold) store_.Deliver([done, reply] { done(reply); });
  }

  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    asked_ = true;
    OnePhaseReply reply;
    reply.results = Results(last);
    reply.reason = "the test says so";
    {
      std::lock_guard lock(store_.mutex);
      reply.kind = FakeStore::Next(store_.one_phases, OnePhaseKind::kCommitted);
      if (reply.kind == OnePhaseKind::kCommitted) store_.committed.insert(gid_);
    }
    store_.Deliver([done, reply] { done(reply); });
  }

 private:
  static std::vector<StatementResult> Results(const std::vector<Statement>& statements) {
    std::vector<StatementResult> results;
    for (const Statement& statement : statements) {
      results.push_back({1, {Value{statement.text}}});
    }
    return results;
  }

  FakeStore& store_;
  const std::string name_;
  const Gid gid_;
  std::vector<StatementResult> worked_;
  bool asked_ = false;
};

/// Answers on the caller's thread, before the call returns, unless told otherwise.
class FakeParticipant : public Participant {
 public:
  /// `store` must outlive it.
  FakeParticipant(std::string name, FakeStore& store) : name_(std::move(name)), store_(store) {}

  ~FakeParticipant() override {
    if (store_.drain) store_.drain();
  }

  const std::string& name() const override { return name_; }
  std::string kind() const override { return "fake"; }

  Result<PreflightReport> Preflight(TimePoint) override {
    std::lock_guard lock(store_.mutex);
    if (store_.down) return Status(StatusCode::kUnavailable, name_ + ": is down; start it");
    return PreflightReport{"fake 1", store_.problems, store_.warnings, {}};
  }

  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint) override {
    return std::make_unique<FakeBranch>(store_, name_, gid);
  }

  void Commit(const Gid& gid, const Token& token, TimePoint, AckCallback done) override {
    Ack ack;
    {
      std::lock_guard lock(store_.mutex);
      ++store_.commits_told[gid];
      store_.commit_tokens[gid] = token;
      if (store_.chaos) store_.chaos(store_);
      const AckKind usual = store_.down ? AckKind::kRetry : AckKind::kDone;
      ack = {FakeStore::Next(store_.commit_acks, usual), "the test says so"};
      if (!store_.down && ack.kind != AckKind::kHeuristic) {
        // A retry is a lost reply: the effect is there.
        store_.prepared.erase(gid);
        store_.committed.insert(gid);
      }
    }
    store_.Deliver([done, ack] { done(ack); });
  }

  void Rollback(const Gid& gid, const Token&, TimePoint, AckCallback done) override {
    Ack ack;
    {
      std::lock_guard lock(store_.mutex);
      ++store_.rollbacks_told[gid];
      if (store_.chaos) store_.chaos(store_);
      const AckKind usual = store_.down ? AckKind::kRetry : AckKind::kDone;
      ack = {FakeStore::Next(store_.rollback_acks, usual), "the test says so"};
      if (!store_.down && ack.kind != AckKind::kHeuristic) {
        store_.prepared.erase(gid);
        store_.rolled_back.insert(gid);
      }
    }
    store_.Deliver([done, ack] { done(ack); });
  }

  Result<std::vector<PreparedBranch>> ListPrepared(TimePoint) override {
    std::function<void()> hook;
    std::vector<PreparedBranch> branches;
    {
      std::lock_guard lock(store_.mutex);
      if (store_.down) return Status(StatusCode::kUnavailable, "is down; start it");
      ++store_.listings;
      for (const Gid& gid : store_.prepared)
        branches.push_back({{gid, name_}, "token of " + name_});
      for (const BranchId& id : store_.renamed) branches.push_back({id, "token"});
      hook = store_.on_list;
    }
    if (hook) hook();
    return branches;
  }

  Result<std::vector<Gid>> ListOutcomes(std::string_view, TimePoint) override {
    std::lock_guard lock(store_.mutex);
    if (store_.down) return Status(StatusCode::kUnavailable, "is down; start it");
    return std::vector<Gid>(store_.kept.begin(), store_.kept.end());
  }

  void Forget(const Gid& gid) override {
    std::lock_guard lock(store_.mutex);
    store_.forgotten.insert(gid);
    store_.kept.erase(gid);
  }

 private:
  const std::string name_;
  FakeStore& store_;
};

}  // namespace indoubt
