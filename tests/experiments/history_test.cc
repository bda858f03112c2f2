#include "experiments/history/history.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/experiments/sample_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json Operation(int64_t i, const char* outcome, int64_t from, const json& to) {
  return SampleOperation(i, outcome, from, from, to);
}

/// Order 1 is committed and torn at the end; 2 is rolled back; 3 is unknown; 4 was dropped;
/// a price was set. A reader saw order 1 torn.
class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() {
    json price = Operation(5, "committed", 40, 50);
    price["op"] = "set_price";
    price["order"] = nullptr;
    price["amount"] = 77;
    json dropped = Operation(4, "dropped", 30, nullptr);
    dropped["started_ns"] = nullptr;
    files_["ops.ndjson"] = {Operation(1, "committed", 10, 20),
                            Operation(2, "rolled_back", 15, 30),
                            Operation(3, "unknown", 20, 35), dropped, price};
    files_["reads.ndjson"] = {{{"t_ns", 25},
                               {"order", 1},
                               {"stores", {"accounts", "stock"}},
                               {"first", {true, false}},
                               {"second", {true, false}},
                               {"fractured", true}}};
    files_["state.ndjson"] = {
        {{"store", "accounts"}, {"key", "order:1"}, {"value", {{"account", 3}}}},
        {{"store", "stock"}, {"key", "order:1"}, {"value", "2"}},
        {{"store", "accounts"}, {"key", "price:5"}, {"value", 77}},
        {{"store", "stock"}, {"key", "price:5"}, {"value", "77"}}};
  }
  Result<std::vector<HistoryEvent>> Read() {
    for (const auto& [name, lines] : files_) {
      std::ofstream out(folder_.path() + "/" + name);
      for (const json& line : lines) out << line.dump() << "\n";
    }
    return ReadHistory(folder_.path());
  }
  std::map<std::string, std::vector<json>> files_;
  TemporaryFolder folder_;
};

TEST_F(HistoryTest, EveryStartedOperationIsInvokedAndEndsAsItWasAnswered) {
  const auto history = Read();
  ASSERT_TRUE(history) << history.status().ToString();
  const std::string edn = HistoryEdn(*history);
  EXPECT_THAT(edn, HasSubstr("{:index 0, :type :invoke, :process 0, :f :txn, :time 0, :value "
                             "[[:w \"accounts/order:1\" 1] [:w \"stock/order:1\" 1] [:w "
                             "\"ledger/order:1\" 1]]}\n"));
  EXPECT_THAT(edn, HasSubstr(":type :ok, :process 0, :f :txn, :time 10, :value [[:w"));
  EXPECT_THAT(edn, HasSubstr(":type :fail, :process 1, :f :txn, :time 20, :value "
                             "[[:w \"accounts/order:2\" 2]"));
  EXPECT_THAT(edn, HasSubstr(":type :info, :process 0, :f :txn, :time 25, :value "
                             "[[:w \"accounts/order:3\" 3]"));
  EXPECT_THAT(edn, HasSubstr("[[:w \"accounts/price:5\" 77] [:w \"stock/price:5\" 77]]"));
  EXPECT_THAT(edn, ::testing::Not(HasSubstr("order:4")));
}

TEST_F(HistoryTest, TornReadsAndTheLastStateAreReadsOfRegisters) {
  const std::string edn = HistoryEdn(Read().value());
  EXPECT_THAT(edn, HasSubstr(":type :invoke, :process 2, :f :txn, :time 15, :value "
                             "[[:r \"accounts/order:1\" nil] [:r \"stock/order:1\" nil]]"));
  EXPECT_THAT(edn, HasSubstr(":type :ok, :process 2, :f :txn, :time 15, :value "
                             "[[:r \"accounts/order:1\" 1] [:r \"stock/order:1\" nil]]"));
  EXPECT_THAT(edn, HasSubstr("[[:r \"accounts/order:1\" 1] [:r \"stock/order:1\" 1] "
                             "[:r \"ledger/order:1\" nil]]"));
  EXPECT_THAT(edn, HasSubstr("[[:r \"accounts/order:3\" nil] [:r \"stock/order:3\" nil] "));
  EXPECT_THAT(edn, HasSubstr("[[:r \"accounts/price:5\" 77] [:r \"stock/price:5\" 77]]"));
}

TEST_F(HistoryTest, AProcessDoesOneThingAtATimeAndEndsWithoutAnAnswer) {
  const auto history = Read();
  ASSERT_TRUE(history);
  std::map<int64_t, EventType> last;
  int64_t before = 0;
  for (const HistoryEvent& event : *history) {
    EXPECT_GE(event.time_ns, before);
    before = event.time_ns;
    const auto at = last.find(event.process);
    if (event.type == EventType::kInvoke) {
      if (at != last.end()) {
        EXPECT_TRUE(at->second == EventType::kOk || at->second == EventType::kFail);
      }
    } else {
      ASSERT_NE(at, last.end());
      EXPECT_EQ(at->second, EventType::kInvoke);
    }
    last[event.process] = event.type;
  }
  EXPECT_EQ(history->size(), 2 * (4U + 1 + 4));  // operations, the read, orders 1 to 3, price
}

TEST_F(HistoryTest, JsonAndEdnSayTheSame) {
  const auto history = Read();
  const json events = json::parse(HistoryJson(*history));
  ASSERT_EQ(events.size(), history->size());
  EXPECT_EQ(events.at(0).at("value").at(2), json({"w", "ledger/order:1", 1}));
  EXPECT_EQ(events.at(0).at("type"), "invoke");
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const json& event) { return event.at("type") == "info"; }),
            1);
}

TEST_F(HistoryTest, WhatWasNeverAnsweredEndsLast) {
  files_["ops.ndjson"].push_back(Operation(6, "censored", 12, nullptr));
  const auto history = Read();
  ASSERT_TRUE(history);
  int64_t ended = -1;
  for (const HistoryEvent& event : *history) {
    if (event.type == EventType::kInfo) ended = event.time_ns;
  }
  EXPECT_EQ(ended, history->back().time_ns);
}

TEST_F(HistoryTest, DamageIsNamedAndAFolderWithoutOperationsHasNoHistory) {
  files_["reads.ndjson"].push_back({{"order", 3}});
  EXPECT_THAT(Read().status().message(), HasSubstr("reads.ndjson:2"));
  const TemporaryFolder empty;
  EXPECT_EQ(ReadHistory(empty.path()).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace indoubt
