#include "cdc/views/parked.h"

#include <gtest/gtest.h>

namespace indoubt::cdc_internal {
namespace {

LoggedEvent Event(uint64_t lsn, events::Change::Kind kind, std::vector<std::string> ids,
                  uint32_t oid = 7) {
  LoggedEvent event;
  event.position = {Lsn{lsn}, 0};
  events::Relation* shape = event.transaction->add_relations();
  shape->set_oid(oid);
  shape->add_columns()->set_key(true);
  shape->add_columns()->set_key(false);
  for (const std::string& id : ids) {
    events::Change* change = event.transaction->add_changes();
    change->set_kind(kind);
    change->set_relation_oid(oid);
    if (kind == events::Change::TRUNCATE) continue;
    change->mutable_after()->add_values()->set_text(id);
    change->mutable_after()->add_values()->set_text("whatever");
  }
  return event;
}

ParkedRows Holding(const LoggedEvent& event) {
  ParkedRows rows;
  rows.Add(Park(event, "why"));
  return rows;
}

constexpr auto kInsert = events::Change::INSERT;
constexpr auto kTruncate = events::Change::TRUNCATE;

TEST(ParkedTest, HoldsUpTheRowsOfTheEventAndNoOthers) {
  const ParkedRows rows = Holding(Event(1, kInsert, {"a", "b"}));
  EXPECT_TRUE(rows.Touches(RowsOf(Event(2, kInsert, {"x", "b"}))));
  EXPECT_FALSE(rows.Touches(RowsOf(Event(2, kInsert, {"x", "y"}))));
  EXPECT_FALSE(rows.Touches(RowsOf(Event(2, kInsert, {"a"}, 8))));
}

TEST(ParkedTest, ATruncateTouchesAndHoldsUpItsWholeTable) {
  EXPECT_TRUE(Holding(Event(1, kInsert, {"a"})).Touches(RowsOf(Event(2, kTruncate, {""}))));
  const ParkedRows rows = Holding(Event(1, kTruncate, {""}));
  EXPECT_TRUE(rows.Touches(RowsOf(Event(2, kInsert, {"a"}))));
  EXPECT_FALSE(rows.Touches(RowsOf(Event(2, kInsert, {"a"}, 70))));
  EXPECT_FALSE(rows.Touches(RowsOf(Event(2, kTruncate, {""}, 8))));
}

TEST(ParkedTest, AnEventOfVeryManyRowsHoldsUpItsTable) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5000; ++i) ids.push_back(std::to_string(i));
  const LoggedEvent many = Event(1, kInsert, ids);
  EXPECT_EQ(RowsOf(many), std::vector<std::string>{"7"});
  EXPECT_TRUE(Holding(many).Touches(RowsOf(Event(2, kInsert, {"unseen"}))));
}

TEST(ParkedTest, LongKeysAreToldApart) {
  const std::string key(1 << 20, 'k');
  const ParkedRows rows = Holding(Event(1, kInsert, {key + "1"}));
  EXPECT_TRUE(rows.Touches(RowsOf(Event(2, kInsert, {key + "1"}))));
  EXPECT_FALSE(rows.Touches(RowsOf(Event(2, kInsert, {key + "2"}))));
  EXPECT_LT(RowsOf(Event(1, kInsert, {key}))[0].size(), 300u);
}

TEST(ParkedTest, IsReadBackAsItWasStored) {
  const ParkedEvent event =
      Park(Event(0x1'0000'0001, kInsert, {std::string("\0\xff", 2)}), "no");
  const auto read = ParseParked(Serialize(event));
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(read->position, event.position);
  EXPECT_EQ(read->reason, "no");
  EXPECT_EQ(read->rows, event.rows);
  EXPECT_FALSE(ParseParked(""));
  EXPECT_FALSE(ParseParked("what is this"));
}

}  // namespace
}  // namespace indoubt::cdc_internal
