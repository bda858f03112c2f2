#include "memory_participant.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include <indoubt/base/text.h>

namespace {

using namespace indoubt;

constexpr const char* kAway = "the memory store is not there";

/// What the statements of a branch come to: the numbers that it writes, and the results.
struct Effect {
  std::map<std::string, int64_t> writes;
  std::vector<StatementResult> results;
};

Status Refused(const Statement& statement, const std::string& why) {
  return Status(StatusCode::kAborted,
                OneLine("statement \"" + statement.text + "\"", 100) + ": " + why);
}

/// Runs one statement on top of what `effect` has so far.
Status Run(Contents& contents, const Statement& statement, Effect& effect) {
  std::istringstream words(statement.text);
  std::string verb, name, rest;
  int64_t amount = 0;
  words >> verb >> name;
  if (verb != "read") words >> amount;
  if (words >> rest) return Refused(statement, "it has more than its words");
  const auto own = effect.writes.find(name);
  const Number* held = contents.Find(name);
  std::optional<int64_t> now;
  if (held != nullptr) now = held->value;
  if (own != effect.writes.end()) now = own->second;
  StatementResult result{.rows = 1, .values = {}};
  if (verb == "read") {
    if (now) result.values.push_back(Value{std::vector<Value>{{*now}}});
    result.rows = now ? 1 : 0;
  } else if (verb == "add") {
    if (now) effect.writes[name] = *now + amount;
    result.rows = now ? 1 : 0;
  } else if (verb == "insert") {
    if (now) return Refused(statement, "that name is taken");
    effect.writes[name] = amount;
  } else {
    return Refused(statement, "no such command");
  }
  if (statement.expect_rows && statement.expect_rows != result.rows) {
    return Refused(statement, "touched " + std::to_string(*result.rows) + " rows, expected " +
                                  std::to_string(*statement.expect_rows));
  }
  effect.results.push_back(std::move(result));
  return Status::Ok();
}

Result<Effect> Evaluate(Contents& contents, const std::vector<Statement>& statements) {
  Effect effect;
  for (const Statement& statement : statements) {
    if (Status status = Run(contents, statement, effect); !status.ok()) return status;
  }
  for (const auto& [name, value] : effect.writes) {
    if (const auto holder = contents.HolderOf(name)) {
      return Status(StatusCode::kLocked, name + " is held by " + *holder);
    }
  }
  if (effect.writes.size() > Intent{}.writes.size()) {
    return Status(StatusCode::kAborted, "a branch writes at most 8 names");
  }
  return effect;
}

class MemoryBranch final : public Branch {
 public:
  MemoryBranch(MemoryStore* store, std::string id, TimePoint deadline)
      : store_(store), id_(std::move(id)), deadline_(deadline) {}

  void Work(std::vector<Statement> statements, WorkCallback done) override {
    const size_t seen = results_.size();
    if (Status status = Append(std::move(statements)); !status.ok()) return done(status);
    auto effect = Try([](Contents&, const Effect&) { return false; });
    if (!effect) return done(refusal_ = effect.error());
    results_ = effect->results;
    done(std::vector<StatementResult>(results_.begin() + static_cast<std::ptrdiff_t>(seen),
                                      results_.end()));
  }

  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    PrepareReply reply;
    const auto effect = Finish(std::move(last), [&](Contents& contents, const Effect& wanted) {
      Intent* place = contents.FindIntent("");
      if (place == nullptr || contents.FindIntent(id_) != nullptr) return false;
      *place = Intent{};
      place->branch = id_;
      place->token = ++contents.last_token;
      size_t next = 0;
      for (const auto& [name, value] : wanted.writes) {
        place->writes[next].name = name;
        place->writes[next++].value = value;
      }
      reply.vote = {VoteKind::kYes, std::to_string(place->token), ""};
      return true;
    });
    if (!effect) {
      reply.vote = {VoteKind::kNo, "", effect.error().message()};
    } else {
      reply.results = effect->results;
      if (effect->writes.empty()) reply.vote = {VoteKind::kReadOnly, "", ""};
    }
    done(std::move(reply));
  }

  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    const auto effect = Finish(std::move(last), [](Contents& contents, const Effect& wanted) {
      return std::all_of(wanted.writes.begin(), wanted.writes.end(), [&](const auto& write) {
        return contents.Set(write.first, write.second);
      });
    });
    if (!effect) return done({OnePhaseKind::kRolledBack, effect.error().message(), {}});
    done({OnePhaseKind::kCommitted, "", effect->results});
  }

 private:
  using Keep = std::function<bool(Contents&, const Effect&)>;

  Status Append(std::vector<Statement> statements) {
    if (refusal_.ok() && store_ == nullptr) refusal_ = Status(StatusCode::kUnavailable, kAway);
    if (refusal_.ok() && SystemClock().Now() >= deadline_) {
      refusal_ = Status(StatusCode::kDeadlineExceeded, "the deadline has passed");
    }
    for (Statement& one : statements) statements_.push_back(std::move(one));
    return refusal_;
  }
  /// Evaluates all statements, and keeps of it what `keep` makes in the store.
  Result<Effect> Try(const Keep& keep) {
    Result<Effect> effect = Effect{};
    store_->Change([&](Contents& contents) {
      effect = Evaluate(contents, statements_);
      return effect && keep(contents, *effect);
    });
    return effect;
  }
  Result<Effect> Finish(std::vector<Statement> last, const Keep& keep) {
    if (Status status = Append(std::move(last)); !status.ok()) return status;
    bool kept = true;
    const std::vector<StatementResult> told = results_;
    auto effect = Try([&](Contents& contents, const Effect& wanted) {
      if (wanted.writes.empty()) return false;
      kept = std::equal(told.begin(), told.end(), wanted.results.begin()) &&
             keep(contents, wanted);
      return kept;
    });
    refusal_ = Status(StatusCode::kAborted, "the branch has ended");
    if (effect && !kept) {
      return Status(StatusCode::kAborted,
                    "what it read has changed, it is prepared already, or the store is full");
    }
    return effect;
  }

  MemoryStore* const store_;
  const std::string id_;
  const TimePoint deadline_;
  std::vector<Statement> statements_;     // all so far
  std::vector<StatementResult> results_;  // told to the caller
  Status refusal_;                        // why it has ended
};

class MemoryParticipant final : public Participant {
 public:
  MemoryParticipant(std::string name, MemoryStore* store)
      : name_(std::move(name)), store_(store) {}
  const std::string& name() const override { return name_; }
  std::string kind() const override { return "memory"; }

  Result<PreflightReport> Preflight(TimePoint) override {
    if (store_ == nullptr) return Status(StatusCode::kUnavailable, kAway);
    PreflightReport report;
    report.version = "Memory 1";
    return report;
  }
  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline) override {
    return std::make_unique<MemoryBranch>(store_, Name(gid), deadline);
  }

  void Commit(const Gid& gid, const Token& token, TimePoint, AckCallback done) override {
    Ack ack{AckKind::kRetry, kAway};
    Change([&](Contents& contents) {
      Intent* intent = contents.FindIntent(Name(gid));
      const bool ours = intent != nullptr && std::to_string(intent->token) == token;
      ack = {AckKind::kDone, ""};
      if (!ours && !contents.IsCommitted(Name(gid))) {
        ack = {AckKind::kHeuristic, "the branch that voted yes is not there any more"};
      }
      if (!ours) return false;
      for (const Number& write : intent->writes) {
        if (!(write.name == "")) contents.Set(write.name.str(), write.value);
      }
      *intent = Intent{};
      const auto free = std::find_if(contents.committed.begin(), contents.committed.end(),
                                     [](const Text& one) { return one == ""; });
      if (free == contents.committed.end()) {
        ack = {AckKind::kRetry, "too many ended branches that nobody has forgotten"};
        return false;
      }
      *free = Name(gid);
      return true;
    });
    done(std::move(ack));
  }

  void Rollback(const Gid& gid, const Token&, TimePoint, AckCallback done) override {
    Ack ack{AckKind::kRetry, kAway};
    Change([&](Contents& contents) {
      Intent* intent = contents.FindIntent(Name(gid));
      ack = {AckKind::kDone, ""};
      if (intent == nullptr && contents.IsCommitted(Name(gid))) {
        ack = {AckKind::kHeuristic, "the branch was committed"};
      }
      if (intent != nullptr) *intent = Intent{};
      return intent != nullptr;
    });
    done(std::move(ack));
  }

  Result<std::vector<PreparedBranch>> ListPrepared(TimePoint) override {
    if (store_ == nullptr) return Status(StatusCode::kUnavailable, kAway);
    std::vector<PreparedBranch> listed;
    Change([&](Contents& contents) {
      for (const Intent& intent : contents.intents) {
        if (intent.branch == "") continue;
        listed.push_back({*BranchId::Parse(intent.branch.str()), std::to_string(intent.token)});
      }
      return false;
    });
    return listed;
  }

  void Forget(const Gid& gid) override {
    Change([&](Contents& contents) {
      const auto found = std::find_if(contents.committed.begin(), contents.committed.end(),
                                      [&](const Text& one) { return one == Name(gid); });
      if (found != contents.committed.end()) *found = "";
      return found != contents.committed.end();
    });
  }

 private:
  std::string Name(const Gid& gid) const { return BranchId{gid, name_}.ToString(); }
  void Change(const std::function<bool(Contents&)>& change) {
    if (store_ != nullptr) store_->Change(change);
  }

  const std::string name_;
  MemoryStore* const store_;
};

}  // namespace

std::unique_ptr<Participant> MakeMemoryParticipant(std::string name, MemoryStore* store) {
  return std::make_unique<MemoryParticipant>(std::move(name), store);
}
