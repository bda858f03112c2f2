// `indoubt txn commit|rollback|forget` on three real stores, from the outside.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Txn : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { stores_ = new Stores; }
  static void TearDownTestSuite() {
    delete stores_;
    stores_ = nullptr;
  }
  /// An order whose coordinator dies at `point`, in doubt at all three stores; its gid.
  std::string InDoubt(int64_t order, const std::string& point) {
    const Ran ran = stores_->Indoubt(stores_->OrderArguments(order),
                                     {{"INDOUBT_FAILPOINT", point + "=kill"}});
    EXPECT_TRUE(ran.DiedOf(SIGKILL)) << ran.err << ran.out;
    const std::string branch = stores_->AskPostgres("SELECT gid FROM pg_prepared_xacts");
    return branch.substr(4, branch.rfind(':') - 4);
  }
  Ran Run(std::vector<std::string> arguments, std::map<std::string, std::string> added = {}) {
    arguments.insert(arguments.begin(), "txn");
    arguments.insert(arguments.end(), {"-c", stores_->config_path()});
    return stores_->Indoubt(arguments, std::move(added));
  }
  Ran Recover() { return stores_->Indoubt({"recover", "-c", stores_->config_path()}); }
  std::string Inspected() {
    return stores_->Indoubt({"log", "inspect", stores_->log_path()}).out;
  }
  void ExpectSettled(int64_t order, const std::string& held) {
    EXPECT_EQ(stores_->OrderIn(order), held);
    EXPECT_EQ(stores_->Leftovers(), "");
    EXPECT_EQ(stores_->Unbalanced(), "");
    EXPECT_EQ(stores_->Unwritable(order), "");
  }
  static Stores* stores_;
};
Stores* Txn::stores_ = nullptr;

TEST_F(Txn, CommitCompletesADecidedCommit) {
  const std::string gid = InDoubt(1, "decision_durable");
  const Ran ran = Run({"commit", gid, "--reason", "night shift", "--json"});
  EXPECT_TRUE(ran.Exited(0)) << ran.err << ran.out;
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["gid"], gid);
  EXPECT_EQ(json["outcome"], "committed");
  EXPECT_EQ(json["operator"]["decided"], "committed");
  EXPECT_EQ(json["operator"]["known"], "committed");
  EXPECT_EQ(json["operator"]["reason"], "night shift");
  EXPECT_THAT(std::string(json["operator"]["who"]), HasSubstr("uid"));
  ExpectSettled(1, "111");
  EXPECT_TRUE(Recover().Exited(0));
}

TEST_F(Txn, RollbackOfAnUndecidedOneIsThePresumedAbort) {
  const std::string gid = InDoubt(2, "voted");
  const Ran ran = Run({"rollback", gid, "--reason", "customer has gone"});
  EXPECT_TRUE(ran.Exited(0)) << ran.err << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("rolled_back"));
  ExpectSettled(2, "000");
  const Ran shown = Run({"show", gid});
  EXPECT_TRUE(shown.Exited(0)) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("customer has gone"));
  EXPECT_THAT(Run({"list"}).out, Not(HasSubstr(gid))) << "it agrees with the log";
  EXPECT_TRUE(Recover().Exited(0));
}

TEST_F(Txn, CommitOfAnUndecidedOneIsHeuristicUntilForgotten) {
  const std::string gid = InDoubt(3, "voted");
  const Ran ran = Run({"commit", gid, "--reason", "goods were shipped"});
  EXPECT_TRUE(ran.Exited(22)) << ran.err << ran.out;
  ExpectSettled(3, "111");
  EXPECT_TRUE(Recover().Exited(22));
  EXPECT_THAT(Run({"list"}).out, HasSubstr(gid));
  EXPECT_THAT(Inspected(), HasSubstr("goods were shipped"));
  const Ran forgotten = Run({"forget", gid, "--reason", "booked", "--json"});
  EXPECT_TRUE(forgotten.Exited(0)) << forgotten.err;
  EXPECT_EQ(nlohmann::json::parse(forgotten.out)["gid"], gid);
  EXPECT_THAT(Run({"list"}).out, IsEmpty());
  EXPECT_TRUE(Recover().Exited(0));
  EXPECT_TRUE(Run({"forget", gid}).Exited(2)) << "there is nothing left to forget";
}

TEST_F(Txn, RollbackAgainstTheDecisionNeedsForce) {
  const std::string gid = InDoubt(4, "decision_durable");
  const Ran refused = Run({"rollback", gid});
  EXPECT_TRUE(refused.Exited(2)) << refused.err << refused.out;
  EXPECT_THAT(refused.err, HasSubstr("--force"));
  EXPECT_NE(stores_->Leftovers(), "");
  const Ran forced = Run({"rollback", gid, "--force"});
  EXPECT_TRUE(forced.Exited(22)) << forced.err << forced.out;
  ExpectSettled(4, "000");
  EXPECT_TRUE(Recover().Exited(22));
  EXPECT_EQ(stores_->OrderIn(4), "000") << "recovery must not commit it any more";
  EXPECT_TRUE(Run({"forget", gid}).Exited(0));
}

TEST_F(Txn, TheDecisionIsDurableBeforeAStoreIsTold) {
  const std::string gid = InDoubt(5, "voted");
  const Ran killed = Run({"commit", gid, "--reason", "by hand"},
                         {{"INDOUBT_FAILPOINT", "heuristic_recorded=kill"}});
  EXPECT_TRUE(killed.DiedOf(SIGKILL)) << killed.err << killed.out;
  EXPECT_EQ(stores_->OrderIn(5), "000");
  EXPECT_THAT(Inspected(), HasSubstr("by hand"));
  EXPECT_TRUE(Recover().Exited(22)) << "recovery completes what a person decided";
  ExpectSettled(5, "111");
  EXPECT_TRUE(Run({"forget", gid}).Exited(0));
}

TEST_F(Txn, KilledWhileTellingTheEndIsTheSame) {
  for (const std::string point :
       {"recovery_before_commit@stock", "recovery_after_commit@ledger"}) {
    SCOPED_TRACE(point);
    const int64_t order = point.ends_with("stock") ? 6 : 7;
    const std::string gid = InDoubt(order, "voted");
    EXPECT_TRUE(Run({"commit", gid}, {{"INDOUBT_FAILPOINT", point + "=kill"}}).DiedOf(SIGKILL));
    const Ran again = Run({"commit", gid});
    EXPECT_TRUE(again.Exited(22)) << again.err << again.out;
    EXPECT_TRUE(Recover().Exited(22)) << "what the stores keep for the killed one goes";
    ExpectSettled(order, "111");
    EXPECT_TRUE(Run({"forget", gid}).Exited(0));
  }
}

TEST_F(Txn, StoreThatIsDownFollowsLater) {
  const std::string gid = InDoubt(8, "decision_durable");
  stores_->redis().Kill();
  const Ran ran = Run({"commit", gid, "--timeout", "2s"});
  ASSERT_TRUE(stores_->redis().Restart().ok());
  EXPECT_TRUE(ran.Exited(21)) << ran.err << ran.out;
  EXPECT_TRUE(Run({"commit", gid}).Exited(0));
  ExpectSettled(8, "111");
}

TEST_F(Txn, ListExitsAsWhatItListsIs) {
  EXPECT_TRUE(Run({"list"}).Exited(0));
  const std::string undecided = InDoubt(9, "voted");
  EXPECT_TRUE(Run({"list"}).Exited(21)) << "nobody has decided it";
  EXPECT_TRUE(Run({"rollback", undecided}).Exited(0));
  EXPECT_TRUE(Run({"list"}).Exited(0));
  const std::string decided = InDoubt(10, "decision_durable");
  EXPECT_TRUE(Run({"list"}).Exited(21)) << "decided, and nobody applies it";
  EXPECT_TRUE(Run({"commit", decided}).Exited(0));
  EXPECT_TRUE(Run({"list"}).Exited(0));
  const std::string heuristic = InDoubt(11, "voted");
  EXPECT_TRUE(Run({"commit", heuristic}).Exited(22));
  EXPECT_TRUE(Run({"list"}).Exited(22));
  const std::string beside = InDoubt(12, "voted");
  EXPECT_TRUE(Run({"list"}).Exited(22)) << "that comes first";
  EXPECT_TRUE(Run({"forget", heuristic}).Exited(0));
  EXPECT_TRUE(Run({"list"}).Exited(21));
  EXPECT_TRUE(Run({"rollback", beside}).Exited(0));
  EXPECT_TRUE(Run({"list"}).Exited(0));
}

TEST_F(Txn, AForcedRollBackDoesNotSayThatThereWasNoCommit) {
  const std::string gid = InDoubt(14, "decision_durable");
  const Ran forced = Run({"rollback", gid, "--force", "--reason", "one\ntwo\x1b[31m three"});
  EXPECT_TRUE(forced.Exited(22)) << forced.err << forced.out;
  EXPECT_THAT(forced.out, HasSubstr("although its commit was decided"));
  EXPECT_THAT(forced.out, Not(HasSubstr("no commit in the log")));
  EXPECT_THAT(forced.out, HasSubstr("one?two?[31m three")) << "as the list shows it";
  EXPECT_THAT(Run({"list"}).out, HasSubstr("one?two?[31m three"));
  EXPECT_TRUE(Run({"forget", gid}).Exited(0));
}

TEST_F(Txn, AHeuristicOutcomeStaysOneWhenTheStoreIsBack) {
  const std::string right = stores_->sqlite_path(), old = stores_->folder() + "/old.db",
                    aside = stores_->folder() + "/aside.db";
  ASSERT_EQ(stores_->AskSqlite("VACUUM INTO '" + old + "'"), "");
  const std::string gid = InDoubt(15, "decision_durable");
  // All of it into the one file.
  stores_->AskSqlite("PRAGMA wal_checkpoint(TRUNCATE)");
  std::filesystem::rename(right, aside);
  std::filesystem::rename(old, right);
  const Ran found = Recover();
  EXPECT_TRUE(found.Exited(22)) << found.err << found.out;
  EXPECT_EQ(stores_->OrderIn(15), "110");
  for (const char* end : {"-wal", "-shm"}) std::filesystem::remove(right + end);
  std::filesystem::rename(aside, right);
  for (const char* pass : {"commits what is there again", "has nothing to do"}) {
    const Ran back = Recover();
    EXPECT_TRUE(back.Exited(22)) << pass << back.err << back.out;
    EXPECT_THAT(back.out, HasSubstr("heuristic " + gid)) << pass;
  }
  EXPECT_TRUE(Run({"forget", gid}).Exited(0));
  ExpectSettled(15, "111");
  EXPECT_TRUE(Recover().Exited(0));
}

TEST_F(Txn, AFileThatNeverHeldABranchIsNotAHeuristicOutcome) {
  const std::string right = stores_->sqlite_path(), aside = stores_->folder() + "/aside.db";
  const std::string gid = InDoubt(16, "decision_durable");
  stores_->AskSqlite("PRAGMA wal_checkpoint(TRUNCATE)");
  std::filesystem::rename(right, aside);
  std::ofstream(right).close();
  for (int pass = 0; pass < 2; ++pass) {
    const Ran away = Recover();
    EXPECT_TRUE(away.Exited(21)) << away.err << away.out;
    EXPECT_THAT(away.err, HasSubstr(right));
    EXPECT_THAT(away.err, HasSubstr("not the file"));
  }
  EXPECT_EQ(stores_->AskSqlite("SELECT count(*) FROM sqlite_master"), "0") << "left as it is";
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(right + end);
  std::filesystem::rename(aside, right);
  EXPECT_TRUE(Recover().Exited(0));
  ExpectSettled(16, "111");
  EXPECT_TRUE(Run({"list"}).Exited(0));
}

TEST_F(Txn, RedisLocksWhoseIntentSomebodyRemovedAreToldAndRepaired) {
  const std::string gid = InDoubt(17, "voted");
  ASSERT_EQ(stores_->AskRedis({"HDEL", "indoubt:prepared", "idt:" + gid + ":stock"}), "1");
  EXPECT_TRUE(Recover().Exited(0));
  ASSERT_EQ(stores_->AskRedis({"HLEN", "indoubt:locks"}), "2") << "nobody comes for them";
  const auto doctor = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"doctor", "-c", stores_->config_path()});
    return stores_->Indoubt(more);
  };
  EXPECT_THAT(doctor({}).out, HasSubstr("2 locks in indoubt:locks are of no prepared branch"));
  const Ran refused = stores_->Indoubt(stores_->OrderArguments(18));
  EXPECT_TRUE(refused.Exited(20)) << refused.err << refused.out;
  EXPECT_THAT(refused.out, HasSubstr("doctor --repair"));
  const Ran repaired = doctor({"--repair"});
  EXPECT_TRUE(repaired.Exited(0)) << repaired.err << repaired.out;
  EXPECT_THAT(repaired.out, HasSubstr("2 locks of no branch dropped"));
  EXPECT_THAT(doctor({}).out, Not(HasSubstr("indoubt:locks")));
  EXPECT_TRUE(stores_->Indoubt(stores_->OrderArguments(18)).Exited(0));
  ExpectSettled(18, "111");
  ExpectSettled(17, "000");
}

TEST_F(Txn, RepairLeavesTheLocksOfWhatIsPrepared) {
  const std::string gid = InDoubt(19, "decision_durable");
  const std::string locks = stores_->AskRedis({"HLEN", "indoubt:locks"});
  const Ran repaired = stores_->Indoubt({"doctor", "-c", stores_->config_path(), "--repair"});
  EXPECT_TRUE(repaired.Exited(0)) << repaired.err << repaired.out;
  EXPECT_THAT(repaired.out, Not(HasSubstr("dropped")));
  EXPECT_EQ(stores_->AskRedis({"HLEN", "indoubt:locks"}), locks);
  EXPECT_TRUE(Recover().Exited(0));
  ExpectSettled(19, "111");
}

TEST_F(Txn, UsageErrors) {
  EXPECT_TRUE(Run({"commit", "nonsense"}).Exited(2));
  EXPECT_TRUE(Run({"commit"}).Exited(2));
  EXPECT_TRUE(Run({"commit", "shop-1.aaaaaaaaaa.1.1"}).Exited(2)) << "another log's";
  EXPECT_TRUE(Run({"rollback", "other.aaaaaaaaaa.1.1", "--adopt", "aaaaaaaaaa"}).Exited(2));
}

}  // namespace
}  // namespace indoubt::testing
