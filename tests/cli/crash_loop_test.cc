// kill -9 at every fail point of `exec` and of `recover`, on three real stores:
// afterwards a recovery, and nothing may be half there, locked or left over. Once with
// PostgreSQL as a participant like the others, once as a logged last resource.
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "base/failpoint.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

/// What kind of transaction reaches a point.
enum class Kind { kCommit, kAbort, kLateAbort, kOnePhase };

struct Case {
  std::string point;  // NAME[@PARTICIPANT][:HIT]
  Kind kind = Kind::kCommit;
  /// What the stores must hold after recovery; none: either all or nothing.
  std::optional<std::string> expected;
};

class CrashLoop : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override { stores_->SetLastResource(LastResource()); }
  static bool LastResource() { return GetParam(); }

  static void SetUpTestSuite() { stores_ = new Stores; }
  static void TearDownTestSuite() {
    delete stores_;
    stores_ = nullptr;
  }

  std::vector<std::string> Arguments(Kind kind, int64_t order) {
    std::vector<std::string> arguments = stores_->OrderArguments(order);
    switch (kind) {
      case Kind::kCommit:
        break;
      case Kind::kAbort:  // a No of the ledger after, or beside, the others' yes
        arguments.insert(arguments.end(),
                         {"--on", "ledger", "UPDATE entries SET amount = 0 WHERE order_id = -1",
                          "--rows", "1"});
        break;
      case Kind::kLateAbort:  // a No of accounts after the others' yes
        arguments.insert(
            arguments.end(),
            {"--on", "accounts", "UPDATE orders SET account = 0 WHERE id = -1", "--rows", "1"});
        break;
      case Kind::kOnePhase:
        arguments = {"exec", "-c",       stores_->config_path(),
                     "--on", "accounts", "UPDATE account SET balance = balance WHERE id = 7"};
        break;
    }
    return arguments;
  }

  void Kill(const std::vector<std::string>& arguments, const std::string& point) {
    const Ran ran = stores_->Indoubt(arguments, {{"INDOUBT_FAILPOINT", point + "=kill"}});
    ASSERT_TRUE(ran.DiedOf(SIGKILL)) << point << " was not reached: " << ran.err << ran.out;
  }

  std::vector<std::string> RecoverArguments() {
    return {"recover", "-c", stores_->config_path(), "--json"};
  }

  void RecoverAndCheck(int64_t order, const std::optional<std::string>& expected) {
    const Ran recovered = stores_->Indoubt(RecoverArguments());
    ASSERT_TRUE(recovered.Exited(0)) << recovered.err << recovered.out;
    const std::string held = stores_->OrderIn(order);
    if (expected) {
      EXPECT_EQ(held, *expected);
    } else {
      EXPECT_TRUE(held == "000" || held == "111") << held;
    }
    EXPECT_EQ(stores_->Leftovers(), "");
    EXPECT_EQ(stores_->Unwritable(order), "");
    EXPECT_EQ(stores_->Unbalanced(), "");
    const Ran again = stores_->Indoubt(RecoverArguments());
    EXPECT_TRUE(again.Exited(0)) << again.err;
    EXPECT_NE(again.out.find(R"("committed":0,"rolled_back":0)"), std::string::npos)
        << again.out;
  }

  static int64_t next_order_;
  static Stores* stores_;
};

int64_t CrashLoop::next_order_ = 1000;
Stores* CrashLoop::stores_ = nullptr;

/// What a participant that is prepared passes, and everybody else.
void AddCommonCases(const std::vector<const char*>& prepared, std::vector<Case>& cases) {
  for (const char* point : {"begun", "voted", "segment_synced", "checkpoint_written",
                            "segment_opened", "incarnation_durable", "segment_dropped"}) {
    cases.push_back({point, Kind::kCommit, "000"});
  }
  for (const char* store : prepared) {
    for (const char* point : {"worked", "before_prepare", "after_prepare"}) {
      cases.push_back({fmt::format("{}@{}", point, store), Kind::kCommit, "000"});
    }
    for (const char* point : {"before_commit", "after_commit"}) {
      cases.push_back({fmt::format("{}@{}", point, store), Kind::kCommit, "111"});
    }
  }
  for (const char* point : {"decision_durable", "acknowledged", "ended"}) {
    cases.push_back({point, Kind::kCommit, "111"});
  }
  cases.push_back({"one_phase_before", Kind::kOnePhase, "000"});
  cases.push_back({"one_phase_after", Kind::kOnePhase, "000"});
}

std::vector<Case> ExecCases(bool last_resource) {
  std::vector<Case> cases;
  const auto add_rollbacks = [&cases](Kind kind, std::initializer_list<const char*> told) {
    for (const char* store : told) {
      for (const char* point : {"before_rollback", "after_rollback"}) {
        cases.push_back({fmt::format("{}@{}", point, store), kind, "000"});
      }
    }
  };
  if (!last_resource) {
    AddCommonCases({"accounts", "stock", "ledger"}, cases);
    add_rollbacks(Kind::kAbort, {"accounts", "stock"});
    cases.push_back({"decision_written", Kind::kCommit, std::nullopt});
    return cases;
  }
  AddCommonCases({"stock", "ledger"}, cases);
  add_rollbacks(Kind::kAbort, {"stock"});
  add_rollbacks(Kind::kLateAbort, {"stock", "ledger"});
  cases.push_back({"worked@accounts", Kind::kCommit, "000"});
  cases.push_back({"last_resource_before@accounts", Kind::kCommit, "000"});
  cases.push_back({"last_resource_after@accounts", Kind::kCommit, "111"});
  // The answer to the commit is lost, and then the one to the question, too.
  cases.push_back({"last_resource_after=error;last_resource_asked", Kind::kCommit, "111"});
  return cases;
}

TEST_P(CrashLoop, KilledAnywhereInExecRecoveryMakesTheStoresAgree) {
  int ran = 0;
  for (const Case& crash : ExecCases(LastResource())) {
    SCOPED_TRACE(crash.point);
    const int64_t order = next_order_++;
    Kill(Arguments(crash.kind, order), crash.point);
    if (HasFatalFailure()) return;
    RecoverAndCheck(order, crash.expected);
    if (HasFatalFailure()) return;
    ++ran;
  }
  fmt::print("crash loop: {} points of exec\n", ran);
}

TEST_P(CrashLoop, KilledAgainInsideRecoveryTheEndIsTheSame) {
  struct Second {
    const char* first;
    const char* expected;
    std::vector<const char*> points;
  };
  const std::vector<Second> seconds{
      {"voted", "000", {"recovery_before_rollback", "recovery_after_rollback"}},
      {"decision_durable", "111", {"recovery_before_commit", "recovery_after_commit"}}};
  std::vector<const char*> prepared{"stock", "ledger"};
  if (!LastResource()) prepared.push_back("accounts");
  int ran = 0;
  for (const Second& second : seconds) {
    std::vector<std::string> points{
        "segment_synced",      "checkpoint_written", "segment_opened",   "segment_dropped",
        "incarnation_durable", "recovery_listed",    "recovery_relisted"};
    for (const char* point : second.points) {
      for (const char* store : prepared) points.push_back(fmt::format("{}@{}", point, store));
    }
    const bool asks = LastResource() && second.first == std::string("voted");
    if (asks) points.emplace_back("last_resource_asked");
    for (const std::string& point : points) {
      SCOPED_TRACE(fmt::format("{} then {}", second.first, point));
      const int64_t order = next_order_++;
      Kill(Arguments(Kind::kCommit, order), second.first);
      Kill(RecoverArguments(), point);
      if (HasFatalFailure()) return;
      RecoverAndCheck(order, second.expected);
      if (HasFatalFailure()) return;
      ++ran;
    }
  }
  fmt::print("crash loop: {} pairs of exec and recovery\n", ran);
}

TEST_P(CrashLoop, HeuristicOutcomeIsDurableWhenTheProcessDiesAfterRecordingIt) {
  const int64_t order = next_order_++;
  Kill(Arguments(Kind::kCommit, order), "decision_durable");
  // Somebody ends a prepared branch by hand: at a last resource there is none.
  std::string branch;
  if (LastResource()) {
    branch = stores_->AskSqlite("SELECT 'idt:' || gid || ':ledger' FROM indoubt_branch");
    ASSERT_EQ(stores_->AskSqlite("DELETE FROM indoubt_lock; DELETE FROM indoubt_branch"), "");
  } else {
    branch = stores_->AskPostgres("SELECT gid FROM pg_prepared_xacts");
    ASSERT_EQ(stores_->AskPostgres("ROLLBACK PREPARED '" + branch + "'"), "");
  }
  Kill(RecoverArguments(), "heuristic_recorded");
  const Ran recovered = stores_->Indoubt(RecoverArguments());
  EXPECT_TRUE(recovered.Exited(22)) << recovered.err << recovered.out;
  EXPECT_EQ(stores_->OrderIn(order), LastResource() ? "110" : "011");
  const std::string text = branch.substr(4, branch.rfind(':') - 4);
  const Ran listed = stores_->Indoubt({"txn", "list", "-c", stores_->config_path()});
  EXPECT_NE(listed.out.find(text), std::string::npos) << listed.out << listed.err;
  EXPECT_TRUE(
      stores_->Indoubt({"txn", "forget", text, "-c", stores_->config_path()}).Exited(0));
  EXPECT_TRUE(stores_->Indoubt(RecoverArguments()).Exited(0));
  // Mend what the DBA broke, so that the other cases' sums hold.
  if (LastResource()) {
    stores_->AskSqlite(fmt::format("INSERT INTO entries VALUES ({}, 7, 5)", order));
  } else {
    stores_->AskPostgres(
        fmt::format("INSERT INTO orders VALUES ({}, 7);"
                    "UPDATE account SET balance = balance - 5",
                    order));
  }
  EXPECT_EQ(stores_->Unbalanced(), "");
}

INSTANTIATE_TEST_SUITE_P(Accounts, CrashLoop, ::testing::Values(false, true),
                         [](const auto& parameter) {
                           return parameter.param ? "AsLastResource" : "Prepared";
                         });

}  // namespace
}  // namespace indoubt::testing
