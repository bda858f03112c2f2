// A log that went missing while branches are prepared: the new one in its place must not
// let anybody presume an abort, and looking must not make one.
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;

class EmptyLogTest : public ::testing::Test {
 protected:
  Ran Recover(const std::vector<std::string>& added = {}) {
    std::vector<std::string> arguments{"recover", "-c", stores_.config_path()};
    arguments.insert(arguments.end(), added.begin(), added.end());
    return stores_.Indoubt(arguments);
  }
  Ran Txn(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "txn");
    arguments.insert(arguments.end(), {"-c", stores_.config_path()});
    return stores_.Indoubt(arguments);
  }
  /// An order that is decided and applied nowhere; its log is moved away. Its gid.
  std::string LoseTheLog(int64_t order) {
    const Ran ran = stores_.Indoubt(stores_.OrderArguments(order),
                                    {{"INDOUBT_FAILPOINT", "decision_durable=kill"}});
    EXPECT_TRUE(ran.DiedOf(SIGKILL)) << ran.err << ran.out;
    std::filesystem::rename(stores_.log_path(), Aside());
    const std::string branch = stores_.AskPostgres("SELECT gid FROM pg_prepared_xacts");
    return branch.substr(4, branch.rfind(':') - 4);
  }
  std::string Aside() { return stores_.folder() + "/aside"; }
  void BringTheLogBack() {
    std::filesystem::remove_all(stores_.log_path());
    std::filesystem::rename(Aside(), stores_.log_path());
  }

  Stores stores_;
};

TEST_F(EmptyLogTest, IsRefusedAtEveryStartUntilItIsAcceptedAndTheOldLogStillDecides) {
  const std::string gid = LoseTheLog(1);
  for (int i = 0; i < 3; ++i) {
    SCOPED_TRACE(i);
    const Ran recovered = Recover();
    EXPECT_TRUE(recovered.Exited(3)) << recovered.err << recovered.out;
    EXPECT_THAT(recovered.err, HasSubstr(gid));
    EXPECT_THAT(recovered.err, HasSubstr("--accept-empty-log"));
    const Ran ordered = stores_.Indoubt(stores_.OrderArguments(2));
    EXPECT_TRUE(ordered.Exited(3)) << ordered.err << ordered.out;
    // The refused start has made a log, and looking at it does not accept it.
    const Ran listed = Txn({"list"});
    EXPECT_TRUE(listed.Exited(21)) << listed.err << listed.out;
  }
  const Ran accepted = Recover({"--accept-empty-log"});
  EXPECT_TRUE(accepted.Exited(0)) << accepted.err << accepted.out;
  EXPECT_THAT(accepted.err, HasSubstr("is accepted from now on"));
  EXPECT_THAT(accepted.err, HasSubstr(stores_.log_path()));
  EXPECT_THAT(accepted.err, HasSubstr(gid)) << "says which branch it leaves alone";
  const Ran later = Recover();
  EXPECT_TRUE(later.Exited(0)) << later.err << later.out;
  EXPECT_THAT(Recover({"--accept-empty-log"}).err, HasSubstr("nothing to accept"));
  EXPECT_NE(stores_.Leftovers(), "") << "the branches were to be left alone";

  BringTheLogBack();
  const Ran decided = Recover();
  EXPECT_TRUE(decided.Exited(0)) << decided.err << decided.out;
  EXPECT_EQ(stores_.OrderIn(1), "111");
  EXPECT_EQ(stores_.OrderIn(2), "000");
  EXPECT_EQ(stores_.Leftovers(), "");
  EXPECT_EQ(stores_.Unbalanced(), "");
}

TEST_F(EmptyLogTest, LookingMakesNoLog) {
  const std::string gid = "shop-1.aaaaaaaaaa.1.1";
  for (const std::vector<std::string>& verb : {std::vector<std::string>{"list"},
                                               {"show", gid},
                                               {"commit", gid},
                                               {"rollback", gid},
                                               {"forget", gid}}) {
    SCOPED_TRACE(verb[0]);
    const Ran ran = Txn(verb);
    EXPECT_TRUE(ran.Exited(2)) << ran.err << ran.out;
    EXPECT_THAT(ran.err, HasSubstr(stores_.log_path()));
    EXPECT_THAT(ran.err, HasSubstr("bring it back or correct the path"));
    EXPECT_EQ(ran.out, "");
    EXPECT_FALSE(std::filesystem::exists(stores_.log_path()));
  }
}

}  // namespace
}  // namespace indoubt::testing
