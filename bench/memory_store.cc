#include "bench/memory_store.h"

#include <charconv>
#include <utility>

#include "base/check.h"

namespace indoubt::bench {
namespace {

constexpr int kNumberBits = 44;  // of a gid's number; its incarnation has 20

Token TextOf(uint64_t token) { return std::to_string(token); }

class MemoryBranch final : public Branch {
 public:
  MemoryBranch(MemoryStore& store, const Gid& gid) : store_(store), gid_(gid) {}

  void Work(std::vector<Statement> statements, WorkCallback done) override {
    results_.resize(results_.size() + statements.size(), {1, {}});
    done(results_);
  }
  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    results_.resize(results_.size() + last.size(), {1, {}});
    done({{VoteKind::kYes, store_.Prepare(gid_), {}}, std::move(results_)});
  }
  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    results_.resize(results_.size() + last.size(), {1, {}});
    store_.Commit(gid_, store_.Prepare(gid_));
    done({OnePhaseKind::kCommitted, {}, std::move(results_)});
  }

 private:
  MemoryStore& store_;
  const Gid gid_;
  std::vector<StatementResult> results_;
};

class MemoryParticipant final : public Participant {
 public:
  MemoryParticipant(std::string name, MemoryStore& store)
      : name_(std::move(name)), store_(store) {}

  const std::string& name() const override { return name_; }
  std::string kind() const override { return "memory"; }
  Result<PreflightReport> Preflight(TimePoint) override {
    return PreflightReport{"memory 1", {}, {}, {}};
  }
  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint) override {
    return std::make_unique<MemoryBranch>(store_, gid);
  }
  void Commit(const Gid& gid, const Token& token, TimePoint, AckCallback done) override {
    const AckKind kind = store_.Commit(gid, token);
    done({kind, kind == AckKind::kDone ? "" : "was not prepared with this token"});
  }
  void Rollback(const Gid& gid, const Token&, TimePoint, AckCallback done) override {
    store_.Rollback(gid);
    done({AckKind::kDone, {}});
  }
  Result<std::vector<PreparedBranch>> ListPrepared(TimePoint) override {
    std::vector<PreparedBranch> branches;
    for (auto& [gid, token] : store_.Prepared()) {
      branches.push_back({{std::move(gid), name_}, std::move(token)});
    }
    return branches;
  }
  void Forget(const Gid&) override {}  // it keeps nothing of what has ended

 private:
  const std::string name_;
  MemoryStore& store_;
};

}  // namespace

uint64_t MemoryStore::KeyOf(const Gid& gid) {
  std::call_once(named_, [&] { any_ = gid; });
  INDOUBT_CHECK(gid.log == any_.log && gid.node == any_.node, gid.ToString());
  return uint64_t{gid.incarnation} << kNumberBits | gid.number;
}

Token MemoryStore::Prepare(const Gid& gid) {
  const uint64_t key = KeyOf(gid);
  const uint64_t token = next_token_.fetch_add(1, std::memory_order_relaxed);
  Shard& shard = ShardOf(key);
  {
    const std::lock_guard lock(shard.mutex);
    INDOUBT_CHECK(shard.prepared.emplace(key, token).second, gid.ToString());
  }
  return TextOf(token);
}

AckKind MemoryStore::Commit(const Gid& gid, const Token& token) {
  const uint64_t key = KeyOf(gid);
  uint64_t told = 0;
  const char* end = token.data() + token.size();
  const bool whole = std::from_chars(token.data(), end, told).ptr == end;
  Shard& shard = ShardOf(key);
  {
    const std::lock_guard lock(shard.mutex);
    const auto place = shard.prepared.find(key);
    if (whole && place != shard.prepared.end() && place->second == told) {
      shard.prepared.erase(place);
      committed_.fetch_add(1, std::memory_order_relaxed);
      return AckKind::kDone;
    }
  }
  ++surprises_;
  return AckKind::kHeuristic;
}

void MemoryStore::Rollback(const Gid& gid) {
  const uint64_t key = KeyOf(gid);
  Shard& shard = ShardOf(key);
  const std::lock_guard lock(shard.mutex);
  if (shard.prepared.erase(key) > 0) ++rolled_back_;
}

std::vector<std::pair<Gid, Token>> MemoryStore::Prepared() const {
  std::vector<std::pair<Gid, Token>> prepared;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [key, token] : shard.prepared) {
      Gid gid = any_;
      gid.incarnation = static_cast<uint32_t>(key >> kNumberBits);
      gid.number = key & ((uint64_t{1} << kNumberBits) - 1);
      prepared.emplace_back(std::move(gid), TextOf(token));
    }
  }
  return prepared;
}

size_t MemoryStore::prepared_count() const {
  size_t count = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    count += shard.prepared.size();
  }
  return count;
}

std::unique_ptr<Participant> MakeMemoryParticipant(std::string name, MemoryStore& store) {
  return std::make_unique<MemoryParticipant>(std::move(name), store);
}

}  // namespace indoubt::bench
