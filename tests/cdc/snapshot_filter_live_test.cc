// What the filter makes of rows with a value that the stream left out as unchanged (TOAST). The
// source, which compares the keys, is a real one.
#include <optional>

#include <gmock/gmock.h>

#include "cdc/source/snapshot_filter.h"
#include "tests/cdc/fixture.h"

namespace indoubt::cdc_internal {
namespace {

using ::testing::HasSubstr;
using Change = events::Change;

constexpr uint32_t kOid = 4711;
constexpr uint32_t kXid = 90;  // which the second attempt saw

/// Table (id bigint PRIMARY KEY, note text), of which the first attempt had copied the rows up
/// to id 10 when the second went on.
class SnapshotFilterLiveTest : public CdcFixture {
 protected:
  static events::SnapshotProgress CopiedUpTo10() {
    events::SnapshotProgress progress;
    progress.set_lsn(10);
    progress.set_copied_until(1000);
    auto* table = progress.add_tables();
    *table->mutable_shape() = Shape();
    auto* order = table->add_order();
    order->set_place(0);
    order->set_type("bigint");
    auto* attempt = progress.add_attempts();
    attempt->set_snapshot("100:100:");
    auto* boundary = attempt->add_boundaries();
    boundary->set_oid(kOid);
    boundary->set_state(events::SnapshotProgress::PARTLY);
    boundary->add_key("10");
    return progress;
  }
  static events::Relation Shape() {
    events::Relation shape;
    shape.set_oid(kOid);
    shape.set_schema("public");
    shape.set_name("noted");
    auto* id = shape.add_columns();
    id->set_name("id");
    id->set_key(true);
    shape.add_columns()->set_name("note");
    return shape;
  }
  /// No note: it was left out as unchanged.
  static events::Row Row(const std::string& id, const std::optional<std::string>& note) {
    events::Row row;
    row.add_values()->set_text(id);
    if (note) {
      row.add_values()->set_text(*note);
    } else {
      row.add_values()->set_unchanged(true);
    }
    return row;
  }
  /// An UPDATE of row `from`, with a new key if `to` is another.
  static events::Transaction Update(const std::string& from, const std::string& to,
                                    const std::optional<std::string>& note) {
    events::Transaction transaction;
    transaction.set_commit_end_lsn(500);
    transaction.set_xid(kXid);
    *transaction.add_relations() = Shape();
    Change* change = transaction.add_changes();
    change->set_kind(Change::UPDATE);
    change->set_relation_oid(kOid);
    if (from != to) {
      change->set_before_is_key(true);
      change->mutable_before()->add_values()->set_text(from);
      change->mutable_before()->add_values()->set_null(true);
    }
    *change->mutable_after() = Row(to, note);
    return transaction;
  }
  Status Filter(events::Transaction& transaction) {
    SlotOptions source;
    source.dsn = postgres_->dsn();
    return SnapshotFilter(source, CopiedUpTo10(), stop_).Apply(transaction, ShapeTable());
  }

  StopSignal stop_;
};

TEST_F(SnapshotFilterLiveTest, AnUnchangedValueOfARowThatStaysWhereItIsIsLeftAsItCame) {
  for (const bool new_key : {false, true}) {
    events::Transaction copied_before = Update(new_key ? "3" : "5", "5", std::nullopt);
    const std::string came = copied_before.changes(0).SerializeAsString();
    const Status filtered = Filter(copied_before);
    ASSERT_TRUE(filtered.ok()) << filtered.ToString();
    ASSERT_EQ(copied_before.changes_size(), 1);
    EXPECT_EQ(copied_before.changes(0).SerializeAsString(), came);
    EXPECT_TRUE(copied_before.changes(0).after().values(1).unchanged());

    events::Transaction copied_later = Update(new_key ? "30" : "50", "50", std::nullopt);
    ASSERT_TRUE(Filter(copied_later).ok());
    EXPECT_EQ(copied_later.changes_size(), 0);
  }
}

TEST_F(SnapshotFilterLiveTest, ARowThatLeavesWhatWasCopiedIsDeletedWhateverItsValuesAre) {
  events::Transaction transaction = Update("5", "50", std::nullopt);
  ASSERT_TRUE(Filter(transaction).ok());
  ASSERT_EQ(transaction.changes_size(), 1);
  const Change& change = transaction.changes(0);
  EXPECT_EQ(change.kind(), Change::DELETE);
  EXPECT_FALSE(change.has_after());
  EXPECT_EQ(change.before().values(0).text(), "5");
}

TEST_F(SnapshotFilterLiveTest, ARowThatComesIntoItIsInsertedOnlyWithAllItsValues) {
  events::Transaction whole = Update("50", "5", "all of it");
  ASSERT_TRUE(Filter(whole).ok());
  ASSERT_EQ(whole.changes_size(), 1);
  EXPECT_EQ(whole.changes(0).kind(), Change::INSERT);
  EXPECT_FALSE(whole.changes(0).has_before());
  EXPECT_EQ(whole.changes(0).after().values(1).text(), "all of it");

  events::Transaction lacking = Update("50", "5", std::nullopt);
  const Status refused = Filter(lacking);
  EXPECT_EQ(refused.code(), StatusCode::kUnsupported) << refused.ToString();
  EXPECT_THAT(refused.message(), HasSubstr("the stream does not have that value"));
}

}  // namespace
}  // namespace indoubt::cdc_internal
