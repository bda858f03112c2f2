#include "cdc/schema_rule.h"

#include <gmock/gmock.h>

namespace indoubt {
namespace {

using testing::HasSubstr;

constexpr uint32_t kInt8 = 20, kInt4 = 23, kText = 25, kVarchar = 1043, kBool = 16;

SourceRelation Table(std::vector<SourceColumn> columns) {
  return {7, "public", "orders", std::move(columns)};
}

const SourceRelation kOrders =
    Table({{"id", kInt8, true}, {"amount", kInt4, false}, {"note", kVarchar, false}});

Status Check(const SourceRelation& after, SchemaRule rule = SchemaRule::kBackward,
             const NeededColumns& needs = std::nullopt) {
  return CheckShapeChange(kOrders, after, needs, rule);
}

SourceRelation WithAmount(uint32_t type) {
  SourceRelation table = kOrders;
  table.columns[1].type_oid = type;
  return table;
}

TEST(SchemaRuleTest, AnAddedColumnFlowsUnderEachRule) {
  SourceRelation more = kOrders;
  more.columns.push_back({"more", kBool, false});
  for (const SchemaRule rule :
       {SchemaRule::kBackward, SchemaRule::kForward, SchemaRule::kFull}) {
    EXPECT_TRUE(Check(more, rule).ok());
  }
}

TEST(SchemaRuleTest, ARenamedColumnStopsWhoNeedsItAndIsNamedWithItsNewName) {
  SourceRelation renamed = kOrders;
  renamed.columns[1].name = "total";
  for (const SchemaRule rule :
       {SchemaRule::kBackward, SchemaRule::kForward, SchemaRule::kFull}) {
    const Status status = Check(renamed, rule);
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_THAT(status.message(), HasSubstr("table public.orders: column \"amount\", which the "
                                            "view needs, was renamed to \"total\""));
  }
  using Needs = std::map<std::string, std::set<std::string>>;
  EXPECT_FALSE(Check(renamed, SchemaRule::kBackward, Needs{{"orders", {"amount"}}}).ok());
  EXPECT_TRUE(Check(renamed, SchemaRule::kBackward, Needs{{"orders", {"id", "note"}}}).ok());
  EXPECT_TRUE(Check(renamed, SchemaRule::kBackward, Needs{{"other", {"amount"}}}).ok());
}

TEST(SchemaRuleTest, ADroppedColumnIsNamed) {
  SourceRelation less = kOrders;
  less.columns.erase(less.columns.begin() + 1);
  EXPECT_THAT(Check(less).message(), HasSubstr("column \"amount\", which the view needs, was "
                                               "dropped"));
}

TEST(SchemaRuleTest, AWiderTypeFlowsBackwardOnlyAndANarrowerForwardOnly) {
  EXPECT_TRUE(Check(WithAmount(kInt8), SchemaRule::kBackward).ok());
  EXPECT_FALSE(Check(WithAmount(kInt8), SchemaRule::kForward).ok());
  EXPECT_FALSE(Check(WithAmount(kInt8), SchemaRule::kFull).ok());
  constexpr uint32_t kInt2 = 21;
  EXPECT_FALSE(Check(WithAmount(kInt2), SchemaRule::kBackward).ok());
  EXPECT_TRUE(Check(WithAmount(kInt2), SchemaRule::kForward).ok());
  EXPECT_FALSE(Check(WithAmount(kInt2), SchemaRule::kFull).ok());
}

TEST(SchemaRuleTest, TypesOfTheSameTextFlowUnderEachRuleAndOthersUnderNone) {
  SourceRelation text = kOrders;
  text.columns[2].type_oid = kText;
  for (const SchemaRule rule :
       {SchemaRule::kBackward, SchemaRule::kForward, SchemaRule::kFull}) {
    EXPECT_TRUE(Check(text, rule).ok());
    const Status status = Check(WithAmount(kText), rule);
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_THAT(status.message(),
                HasSubstr("column \"amount\" was changed from integer to text"));
  }
}

TEST(SchemaRuleTest, ARenamedTableAndAnotherKeyStopAViewOfRows) {
  SourceRelation renamed = kOrders;
  renamed.name = "sales";
  EXPECT_THAT(Check(renamed).message(), HasSubstr("it is named public.sales now"));
  SourceRelation key = kOrders;
  key.columns[1].key = true;
  EXPECT_THAT(Check(key).message(),
              HasSubstr("column \"amount\" is now part of the replica identity"));
}

TEST(SchemaRuleTest, RulesAreParsedByTheirNames) {
  EXPECT_EQ(ParseSchemaRule("full").value_or(SchemaRule::kBackward), SchemaRule::kFull);
  EXPECT_FALSE(ParseSchemaRule("none"));
}

}  // namespace
}  // namespace indoubt
