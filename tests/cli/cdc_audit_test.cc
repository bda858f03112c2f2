// `indoubt cdc audit` on real stores: the stream agrees, or somebody went behind the
// coordinator's back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "tests/cli/cdc_shop.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class CdcAudit : public ::testing::Test {
 protected:
  /// An order whose coordinator dies at `point`; the name of its branch at accounts.
  std::string InDoubt(int64_t order, const std::string& point) {
    const Ran ran = stores().Indoubt(stores().OrderArguments(order),
                                     {{"INDOUBT_FAILPOINT", point + "=kill"}});
    EXPECT_TRUE(ran.DiedOf(SIGKILL)) << ran.err << ran.out;
    return stores().AskPostgres("SELECT gid FROM pg_prepared_xacts");
  }
  /// Behind the coordinator's back.
  void ByHand(const std::string& verb, const std::string& branch) {
    stores().AskPostgres(verb + " PREPARED '" + branch + "'");
  }
  void Commit(int64_t order) {
    const Ran ran = stores().Indoubt(stores().OrderArguments(order));
    ASSERT_TRUE(ran.Exited(0)) << ran.err << ran.out;
  }
  /// The audit once the stream holds `entries` outcomes and prepared transactions.
  Json Audited(uint64_t entries) {
    Json audit;
    // What is prepared counts as an entry before the worker has read how it ended.
    const std::string end = stores().AskPostgres("SELECT pg_current_wal_flush_lsn()");
    EXPECT_TRUE(Eventually([&] {
      const Ran ran = shop_.Cdc({"audit", "--json"});
      EXPECT_TRUE(ran.end && !ran.end->by_signal) << ran.err;
      code_ = ran.end ? ran.end->code : -1;
      audit = Json::parse(ran.out);
      return audit["agreed"].get<uint64_t>() + audit["foreign"].get<uint64_t>() +
                     audit["disagreements"].size() + audit["undecided"].size() +
                     audit["not_judged"].size() ==
                 entries &&
             stores().AskPostgres("SELECT '" + audit["complete"].get<std::string>() +
                                  "'::pg_lsn >= '" + end + "'::pg_lsn") == "t";
    })) << audit;
    return audit;
  }
  static std::string GidOf(const std::string& branch) {
    return branch.substr(4, branch.rfind(':') - 4);
  }
  Stores& stores() { return shop_.stores(); }

  CdcShop shop_;
  std::unique_ptr<Process> worker_ = shop_.StartWorker();
  int code_ = -1;  // of the last audit
};

TEST_F(CdcAudit, AgreesWithCommitsRollbacksAndPeoplesDecisions) {
  Commit(1);
  const std::string presumed = InDoubt(2, "voted");
  EXPECT_TRUE(stores().Indoubt({"recover", "-c", stores().config_path()}).Exited(0));
  const std::string forced = InDoubt(3, "decision_durable");
  EXPECT_TRUE(
      stores()
          .Indoubt({"txn", "rollback", GidOf(forced), "--force", "-c", stores().config_path()})
          .Exited(22));
  stores().AskPostgres(
      "BEGIN; INSERT INTO orders VALUES (99, 7); PREPARE TRANSACTION 'somebody-elses'");
  const Json audit = Audited(4);
  EXPECT_EQ(code_, 0);
  EXPECT_EQ(audit["agreed"], 3) << audit;
  EXPECT_EQ(audit["foreign"], 1) << audit;
  stores().AskPostgres("ROLLBACK PREPARED 'somebody-elses'");
}

TEST_F(CdcAudit, ListsWhatIsPreparedWithOrWithoutADecision) {
  const std::string branch = InDoubt(1, "voted");
  Json audit = Audited(1);
  EXPECT_EQ(code_, 0);
  ASSERT_EQ(audit["undecided"].size(), 1u) << audit;
  EXPECT_EQ(audit["undecided"][0]["gid"], GidOf(branch));
  EXPECT_EQ(audit["undecided"][0]["decided"], "undecided");
  EXPECT_TRUE(stores().Indoubt({"recover", "-c", stores().config_path()}).Exited(0));
  InDoubt(2, "decision_durable");
  audit = Audited(2);
  ASSERT_EQ(audit["undecided"].size(), 1u) << audit;
  EXPECT_EQ(audit["undecided"][0]["decided"], "committed");
}

TEST_F(CdcAudit, SomebodysRollbackOfADecidedCommitIsADisagreement) {
  Commit(1);
  const std::string branch = InDoubt(2, "decision_durable");
  ByHand("ROLLBACK", branch);
  Json audit = Audited(2);
  EXPECT_EQ(code_, 11);
  EXPECT_EQ(audit["agreed"], 1) << audit;
  ASSERT_EQ(audit["disagreements"].size(), 1u) << audit;
  EXPECT_EQ(audit["disagreements"][0]["gid"], GidOf(branch));
  EXPECT_EQ(audit["disagreements"][0]["stream"], "rolled_back");
  EXPECT_EQ(audit["disagreements"][0]["decided"], "committed");
  const Ran ran = shop_.Cdc({"audit"});
  EXPECT_TRUE(ran.Exited(11));
  EXPECT_THAT(ran.err, HasSubstr(GidOf(branch)));
  // Recovery meets it and says so; it is no less a disagreement for being known.
  EXPECT_TRUE(stores().Indoubt({"recover", "-c", stores().config_path()}).Exited(22));
  audit = Audited(2);
  EXPECT_EQ(code_, 11);
  EXPECT_THAT(audit["disagreements"][0]["note"].get<std::string>(), HasSubstr("heuristic"));
}

TEST_F(CdcAudit, SomebodysCommitOfAnUndecidedOneIsADisagreementWhileServeHasTheLog) {
  const std::string branch = InDoubt(1, "voted");
  ByHand("COMMIT", branch);
  const auto served = stores().Serve();
  const Json audit = Audited(1);
  EXPECT_EQ(code_, 11);
  ASSERT_EQ(audit["disagreements"].size(), 1u) << audit;
  EXPECT_EQ(audit["disagreements"][0]["gid"], GidOf(branch));
  EXPECT_EQ(audit["disagreements"][0]["stream"], "committed");
  EXPECT_EQ(audit["disagreements"][0]["decided"], "rolled_back");
}

TEST_F(CdcAudit, WhatAnotherLogDecidedIsNotJudged) {
  const std::string branch = InDoubt(1, "voted");
  ByHand("ROLLBACK", branch);
  std::string other = branch;
  other.replace(other.find('.') + 1, 10, "aaaaaaaaaa");
  stores().AskPostgres("BEGIN; INSERT INTO orders VALUES (5, 7); PREPARE TRANSACTION '" +
                       other + "'");
  ByHand("COMMIT", other);
  const Json audit = Audited(2);
  EXPECT_EQ(code_, 0);
  ASSERT_EQ(audit["not_judged"].size(), 1u) << audit;
  EXPECT_THAT(audit["not_judged"][0]["note"].get<std::string>(), HasSubstr("aaaaaaaaaa"));
}

TEST_F(CdcAudit, DecisionRowsOfALastResourceAreReadAndNotMade) {
  // Another database of the same server decides; accounts, the source, prepares.
  stores().AskPostgres("CREATE DATABASE billing");
  const std::string billing = stores().postgres().dsn("billing");
  const std::string last = fmt::format(
      "[participants.billing]\nkind = \"postgres\"\nlast_resource = true\ndsn = \"{}\"\n",
      billing);
  const std::string config = stores().folder() + "/last.toml";
  std::ofstream(config) << ReadText(stores().config_path()) << last;
  const std::string with_cdc = ReadText(shop_.config_path());
  std::ofstream(shop_.config_path()) << with_cdc << last;
  const auto both = [&](int64_t order, const std::string& point) {
    return stores().Indoubt(
        {"exec", "-c", config, "--on", "accounts",
         fmt::format("INSERT INTO orders VALUES ({}, 7)", order), "--on", "billing",
         fmt::format("CREATE TABLE IF NOT EXISTS bill_{} (id int)", order)},
        point.empty() ? std::map<std::string, std::string>{}
                      : std::map<std::string, std::string>{{"INDOUBT_FAILPOINT", point}});
  };
  const Ran fine = both(1, "");
  ASSERT_TRUE(fine.Exited(0)) << fine.err;
  ASSERT_TRUE(both(2, "last_resource_after=kill").DiedOf(SIGKILL));
  const std::string decided = stores().AskPostgres("SELECT gid FROM pg_prepared_xacts");
  ByHand("ROLLBACK", decided);
  ASSERT_TRUE(both(3, "last_resource_before=kill").DiedOf(SIGKILL));
  const std::string undecided = stores().AskPostgres("SELECT gid FROM pg_prepared_xacts");
  Json audit = Audited(3);
  EXPECT_EQ(code_, 11);
  EXPECT_EQ(audit["agreed"], 1) << audit;
  ASSERT_EQ(audit["disagreements"].size(), 1u) << audit;
  EXPECT_EQ(audit["disagreements"][0]["gid"], GidOf(decided));
  ASSERT_EQ(audit["undecided"].size(), 1u) << audit;
  EXPECT_EQ(audit["undecided"][0]["gid"], GidOf(undecided));
  // Asking has decided nothing: the abort row is recovery's to write.
  ByHand("COMMIT", undecided);
  audit = Audited(3);
  EXPECT_EQ(audit["disagreements"].size(), 2u) << audit;
}

}  // namespace
}  // namespace indoubt::testing
