// Compaction by key: whatever happened to the rows, and wherever a pass is, a replay of the
// whole log ends in the source's rows.
#include <random>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cdc/log/sqlite_event_log_file.h"
#include "cdc/view.h"
#include "tests/cdc/event_log_fixture.h"
#include "tests/cdc/kill_fixture.h"

namespace indoubt {
namespace {

constexpr uint32_t kKeyed = 1, kBag = 2;  // oids

/// Rows by their key, or with it: columns "id", "a" and "big".
using Keyed = std::map<std::string, std::pair<std::string, std::string>>;
using Bag = std::multiset<std::string>;

events::Relation Shape(uint32_t oid) {
  events::Relation shape;
  shape.set_oid(oid);
  shape.set_name(oid == kKeyed ? "keyed" : "bag");
  for (const char* name : {"id", "a", "big"}) {
    if (oid == kBag && name != std::string("id")) continue;
    events::Column* column = shape.add_columns();
    column->set_name(name);
    column->set_key(name == std::string("id"));
  }
  return shape;
}

/// A source that changes at random, and the log of it.
class Source {
 public:
  explicit Source(uint64_t seed) : random_(seed) {}

  events::Transaction Commit(uint64_t lsn) {
    events::Transaction transaction;
    transaction.set_commit_end_lsn(lsn);
    for (const uint32_t oid : {kKeyed, kBag}) *transaction.add_relations() = Shape(oid);
    const uint64_t changes = 1 + random_() % 4;
    for (uint64_t i = 0; i < changes; ++i) {
      Below(8) == 0 ? ChangeBag(transaction) : ChangeKeyed(transaction);
    }
    return transaction;
  }
  /// A row of a key that no other change has, and nothing else; or its end.
  events::Transaction InsertLone(uint64_t lsn) {
    events::Transaction transaction = Empty(lsn);
    Put(Make(transaction, events::Change::INSERT, kKeyed), kLoneKey, Fresh(), Fresh());
    return transaction;
  }
  events::Transaction DeleteLone(uint64_t lsn) {
    events::Transaction transaction = Empty(lsn);
    SetKey(Make(transaction, events::Change::DELETE, kKeyed), kLoneKey);
    keyed_.erase(kLoneKey);
    return transaction;
  }
  const Keyed& keyed() const { return keyed_; }
  const Bag& bag() const { return bag_; }

 private:
  static constexpr const char* kLoneKey = "lone";

  static events::Transaction Empty(uint64_t lsn) {
    events::Transaction transaction;
    transaction.set_commit_end_lsn(lsn);
    *transaction.add_relations() = Shape(kKeyed);
    return transaction;
  }
  uint64_t Below(uint64_t bound) { return random_() % bound; }
  std::string AnyKey() { return std::to_string(Below(30)); }
  std::string Fresh() { return std::to_string(++fresh_); }

  static void Add(events::Row* row, const std::optional<std::string>& text) {
    events::Datum* datum = row->add_values();
    text ? datum->set_text(*text) : datum->set_unchanged(true);
  }
  static events::Change& Make(events::Transaction& transaction, events::Change::Kind kind,
                              uint32_t oid) {
    events::Change* change = transaction.add_changes();
    change->set_kind(kind);
    change->set_relation_oid(oid);
    return *change;
  }
  static void SetKey(events::Change& change, const std::string& key) {
    change.set_before_is_key(true);
    Add(change.mutable_before(), key);
    for (int i = 0; i < 2; ++i) change.mutable_before()->add_values()->set_null(true);
  }

  void ChangeBag(events::Transaction& transaction) {
    const std::string value = std::to_string(Below(3));
    const auto found = bag_.find(value);
    const bool removes = found != bag_.end() && Below(2) == 0;
    events::Change& change =
        Make(transaction, removes ? events::Change::DELETE : events::Change::INSERT, kBag);
    Add(removes ? change.mutable_before() : change.mutable_after(), value);
    removes ? static_cast<void>(bag_.erase(found)) : static_cast<void>(bag_.insert(value));
  }

  void ChangeKeyed(events::Transaction& transaction) {
    const std::string key = AnyKey();
    const auto found = keyed_.find(key);
    if (Below(150) == 0) {
      Make(transaction, events::Change::TRUNCATE, kKeyed);
      keyed_.clear();
    } else if (found == keyed_.end()) {
      Put(Make(transaction, events::Change::INSERT, kKeyed), key, Fresh(), Fresh());
    } else if (Below(4) == 0) {
      SetKey(Make(transaction, events::Change::DELETE, kKeyed), key);
      keyed_.erase(found);
    } else {
      Update(Make(transaction, events::Change::UPDATE, kKeyed), key);
    }
  }

  void Update(events::Change& change, const std::string& key) {
    const std::string to = Below(100) == 0 ? AnyKey() : key;
    const bool moves = to != key && !keyed_.contains(to);
    const std::string big = keyed_[key].second;
    if (moves) {
      SetKey(change, key);
      keyed_.erase(key);
    }
    const auto value = Below(2) == 0 ? std::nullopt : std::optional(Fresh());
    Put(change, moves ? to : key, Fresh(), value, big);
  }

  /// Without `big` it stays `old_big`, and the stream leaves it out.
  void Put(events::Change& change, const std::string& key, const std::string& a,
           const std::optional<std::string>& big, const std::string& old_big = "") {
    Add(change.mutable_after(), key);
    Add(change.mutable_after(), a);
    Add(change.mutable_after(), big);
    keyed_[key] = {a, big.value_or(old_big)};
  }

  std::mt19937_64 random_;
  uint64_t fresh_ = 0;
  Keyed keyed_;
  Bag bag_;
};

/// What the whole log makes of nothing, as a view of rows would.
class Replayed {
 public:
  Status Apply(const LoggedEvent& event) {
    return ForEachRowChange(event, [this](const RowChange& change) {
      change.relation->oid == kBag ? ApplyBag(change) : ApplyKeyed(change);
      return Status::Ok();
    });
  }
  Keyed keyed;
  Bag bag;

 private:
  void ApplyBag(const RowChange& change) {
    if (change.after) bag.insert(*change.after->at("id"));
    if (!change.before) return;
    const auto found = bag.find(*change.before->at("id"));
    if (found != bag.end()) bag.erase(found);
  }
  void ApplyKeyed(const RowChange& change) {
    if (change.kind == ChangeKind::kTruncate) keyed.clear();
    std::string big;
    const RowImage* old = change.before  ? &*change.before
                          : change.after ? &*change.after
                                         : nullptr;
    if (old == nullptr) return;
    const auto found = keyed.find(*old->at("id"));
    const bool there = found != keyed.end();
    if (there) big = found->second.second;
    if (there && change.before) keyed.erase(found);
    if (!change.after) return;
    const bool whole = change.after->contains("big");
    // Redis could not RENAME it.
    if (!there && change.before) {
      EXPECT_TRUE(whole) << "a row went on that was not there";
    }
    if (!whole && !there) return;  // an UPDATE of no row: a later change settles it
    keyed[*change.after->at("id")] = {*change.after->at("a"),
                                      whole ? *change.after->at("big") : big};
  }
};

class LogCompactionTest : public EventLogFixture {
 protected:
  void SetUp() override {
    fmt::print("seed {}\n", seed_);
    EventLogFixture::SetUp();
  }
  void Append(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(log_->Append({source_.Commit(lsn_ += 10)}).ok());
    }
  }
  /// As a rebuild reads it: from the file.
  void ExpectReplayGivesTheSource() {
    auto db = cdc_internal::SqliteDatabase::Open(path_,
                                                 cdc_internal::SqliteDatabase::Mode::kReadOnly);
    ASSERT_TRUE(db);
    cdc_internal::LogTail tail;
    tail.end = log_->end();
    const auto reader = cdc_internal::MakeSqliteEventLogReader(std::move(*db), tail);
    Replayed replayed;
    EventPosition at;
    for (;;) {
      const auto events = reader->Read(at, 1000, 1 << 20);
      ASSERT_TRUE(events) << events.error().ToString();
      if (events->empty()) break;
      for (const LoggedEvent& event : *events) ASSERT_TRUE(replayed.Apply(event).ok());
      at = events->back().position;
    }
    EXPECT_EQ(replayed.keyed, source_.keyed());
    EXPECT_EQ(replayed.bag, source_.bag());
  }
  uint64_t Events() const {
    return std::stoull(SqliteOne(path_, "SELECT count(*) FROM events"));
  }

  const uint64_t seed_ = SeedOfThisRun();
  Source source_{seed_};
  uint64_t lsn_ = 5;
};

TEST_F(LogCompactionTest,
       WhateverHappenedAReplayGivesTheSourceAfterEachStepAndAfterAReopening) {
  int steps = 0;
  for (int round = 0; round < 3 && !HasFailure(); ++round) {
    Append(600);
    for (bool more = true; more && !HasFailure(); ++steps) {
      const auto compacted = log_->CompactOldest(log_->end().last);
      ASSERT_TRUE(compacted) << compacted.error().ToString();
      more = *compacted;
      ExpectReplayGivesTheSource();
      // Cut short in the middle, a pass is never gone on with: the next one begins anew.
      if (steps % 11 == 10) Reopen();
    }
  }
  EXPECT_GT(steps, 10);
  EXPECT_LT(Events(), 1400u) << "of 1800";
  EXPECT_GT(log_->begin().compacted, EventPosition{});
}

TEST_F(LogCompactionTest, ItStaysBehindEveryViewAndReadersBeforeItAreRefused) {
  Append(1000);
  const EventPosition passed{Lsn{5005}, 0};
  for (bool more = true; more;) more = log_->CompactOldest(passed).value_or(false);
  EXPECT_EQ(log_->begin().compacted, passed);
  const auto reader = log_->NewReader();
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->Read({}, 1, 1).error().code(), StatusCode::kNotFound);
  EXPECT_EQ((*reader)->Read({Lsn{4995}, 0}, 1, 1).error().code(), StatusCode::kNotFound);
  const auto rest = (*reader)->Read(passed, 1000, 1 << 20);
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->size(), 500u);
  Reopen();
  EXPECT_EQ(log_->begin().compacted, passed);
  EXPECT_EQ(log_->end().last_sequence, 1000u);
}

TEST_F(LogCompactionTest, WhatFollowsIsReadAlthoughTheEventBeforeIsGoneAndABatchBeginsThere) {
  Append(600);
  ASSERT_TRUE(log_->Append({source_.InsertLone(lsn_ += 10)}).ok());
  ASSERT_TRUE(log_->Append({source_.DeleteLone(lsn_ += 10)}).ok());
  const EventPosition deleted = log_->end().last;
  const auto reader = log_->NewReader();
  ASSERT_TRUE(reader);
  ASSERT_NE((*reader)->Recent({Lsn{5}, 0}), nullptr);  // what follows begins a batch
  Append(3);
  while (log_->CompactOldest(deleted).value_or(false)) {
  }
  ASSERT_EQ(log_->begin().compacted, deleted);
  ASSERT_EQ(SqliteOne(path_, "SELECT count(*) FROM events WHERE sequence = 602"), "0");
  const auto rest = (*reader)->Read(deleted, 100, 1 << 20);
  ASSERT_TRUE(rest) << rest.error().ToString();
  EXPECT_EQ(rest->size(), 3u);
}

TEST_F(LogCompactionTest, AFewNewEventsAreNotWorthAPass) {
  Append(1000);
  while (log_->CompactOldest(log_->end().last).value_or(false)) {
  }
  const EventPosition compacted = log_->begin().compacted;
  Append(100);
  EXPECT_FALSE(log_->CompactOldest(log_->end().last).value_or(true));
  EXPECT_EQ(log_->begin().compacted, compacted);
}

}  // namespace
}  // namespace indoubt
