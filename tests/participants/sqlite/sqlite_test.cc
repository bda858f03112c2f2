// SQLite passes the contract, and keeps its yes against outside writers.
#include <fmt/format.h>
#include <sqlite3.h>

#include "faults/process.h"
#include "participants/sqlite/sqlite_participant.h"
#include "tests/participants/contract_suite.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

/// Runs SQL as any other program would; an error's text starts with "error".
std::string Ask(const std::string& path, const std::string& sql) {
  sqlite3* raw = nullptr;
  sqlite3_open(path.c_str(), &raw);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> database(raw, sqlite3_close);
  sqlite3_busy_timeout(raw, 1000);
  std::string first;
  char* error = nullptr;
  const auto row = [](void* to, int, char** values, char**) {
    auto& text = *static_cast<std::string*>(to);
    if (text.empty() && values[0] != nullptr) text = values[0];
    return 0;
  };
  if (sqlite3_exec(raw, sql.c_str(), row, &first, &error) != SQLITE_OK) {
    first = fmt::format("error: {}", error);
    sqlite3_free(error);
  }
  return first;
}

class SqliteContractStore final : public ContractStore {
 public:
  Status Reset() override {
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((path_ + suffix).c_str());
    const std::string made = Ask(
        path_,
        "PRAGMA journal_mode=WAL; CREATE TABLE number (name TEXT PRIMARY KEY, value INTEGER "
        "NOT NULL); INSERT INTO number VALUES ('a', 100), ('b', 100);"
        "CREATE TABLE other (id INTEGER PRIMARY KEY, what TEXT)");
    return made.starts_with("error") ? Status(StatusCode::kInternal, made) : Status::Ok();
  }
  std::unique_ptr<Participant> MakeParticipant() override { return Make(path_); }
  std::unique_ptr<Participant> MakeUnreachable() override { return Make(path_ + ".missing"); }
  void KillServer() override {}  // there is none
  Status RestartServer() override { return Status::Ok(); }
  Statement Add(const std::string& name, int64_t amount) override {
    return {"UPDATE number SET value = value + ?1 WHERE name = ?2", {{amount}, {name}}, {}};
  }
  Statement Insert(const std::string& name, int64_t value) override {
    return {"INSERT INTO number VALUES (?1, ?2)", {{name}, {value}}, {}};
  }
  Statement Read(const std::string& name) override {
    return {"SELECT value FROM number WHERE name = ?1", {{name}}, {}};
  }
  Failing MakeFailing() override {
    return {{"INSERT INTO number VALUES ('a', 1)", {}, {}}, "UNIQUE constraint failed"};
  }
  Statement TouchesNotSeven() override {
    return {"UPDATE number SET value = value + 1 WHERE name = 'a'", {}, {}};
  }
  std::optional<int64_t> Look(const std::string& name) override {
    const std::string text = Ask(path_, "SELECT value FROM number WHERE name = '" + name + "'");
    return text.empty() ? std::nullopt : std::optional<int64_t>(std::stoll(text));
  }
  bool OutsideWrite(const std::string& name, int64_t value) override {
    return !Ask(path_, fmt::format("REPLACE INTO number VALUES ('{}', {})", name, value))
                .starts_with("error");
  }
  void LeaveForeignBranch() override {
    Ask(path_, "INSERT INTO other VALUES (1, 'another program')");
  }
  bool ForeignBranchIsThere() override {
    return Ask(path_, "SELECT count(*) FROM other") == "1";
  }

 private:
  static std::unique_ptr<Participant> Make(const std::string& path) {
    auto made = MakeSqliteParticipant({"store", path, {"number"}});
    INDOUBT_CHECK(made.has_value(), made.error().ToString());
    return std::move(*made);
  }
  ScratchFolder folder_{"indoubt-sqlite-contract"};
  const std::string path_ = folder_.path() + "/store.db";
};

std::unique_ptr<ContractStore> MakeSqliteContractStore() {
  return std::make_unique<SqliteContractStore>();
}

/// A table with a UNIQUE column and a child, and one participant over both.
class SqliteGuards : public ::testing::Test {
 protected:
  void SetUp() override {
    Ask(path_,
        "PRAGMA journal_mode=WAL;"
        "CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT UNIQUE, note TEXT);"
        "CREATE TABLE pet (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES person (id));"
        "INSERT INTO person VALUES (1, 'a@x', ''), (2, 'b@x', '')");
    Make({"person", "pet"});
  }
  void Make(const std::vector<std::string>& tables) {
    participant_.reset();
    auto made = MakeSqliteParticipant({"store", path_, tables});
    ASSERT_TRUE(made);
    participant_ = std::move(*made);
  }
  Vote Prepare(const Gid& gid, const std::string& sql) {
    return PrepareNow(*participant_, gid, {{sql, {}, {}}}).vote;
  }
  /// Prepares, expects outside SQL to be held off, commits, expects `check` to give 1.
  void ExpectHeldOff(const std::string& work, const std::vector<std::string>& outside,
                     const std::string& check) {
    const Gid gid = NewTestGid();
    const Vote vote = Prepare(gid, work);
    ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
    for (const std::string& sql : outside) {
      EXPECT_THAT(Ask(path_, sql), HasSubstr("indoubt")) << sql;
    }
    const Ack ack = CommitNow(*participant_, gid, vote.token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
    EXPECT_EQ(Ask(path_, check), "1") << check;
    for (const std::string& sql : outside) {
      EXPECT_THAT(Ask(path_, sql), ::testing::Not(HasSubstr("indoubt"))) << sql;
    }
  }

  ScratchFolder folder_{"indoubt-sqlite-guards"};
  const std::string path_ = folder_.path() + "/store.db";
  std::unique_ptr<Participant> participant_;
};

TEST_F(SqliteGuards, UniqueValueOfAnInsertInDoubtCannotBeTaken) {
  ExpectHeldOff("INSERT INTO person VALUES (3, 'c@x', '')",
                {"INSERT INTO person VALUES (4, 'c@x', '')",
                 "UPDATE person SET email = 'c@x' WHERE id = 1",
                 "REPLACE INTO person VALUES (5, 'c@x', '')"},
                "SELECT count(*) FROM person WHERE id = 3 AND email = 'c@x'");
}

TEST_F(SqliteGuards, RowThatAnUpdateInDoubtChangesCannotBeTouchedByAnyOfItsKeys) {
  ExpectHeldOff("UPDATE person SET note = 'x' WHERE id = 1",
                {"UPDATE person SET note = 'y' WHERE id = 1", "DELETE FROM person WHERE id = 1",
                 "REPLACE INTO person VALUES (9, 'a@x', '')"},
                "SELECT count(*) FROM person WHERE id = 1 AND note = 'x'");
}

TEST_F(SqliteGuards, OldUniqueValueStaysFreeForTheRollback) {
  ExpectHeldOff(
      "UPDATE person SET email = 'z@x' WHERE id = 2",
      {"REPLACE INTO person VALUES (7, 'b@x', '')", "INSERT INTO person VALUES (8, 'z@x', '')"},
      "SELECT count(*) FROM person WHERE id = 2 AND email = 'z@x'");
}

TEST_F(SqliteGuards, ParentOfAChildInDoubtCannotBeDeleted) {
  ExpectHeldOff("INSERT INTO pet VALUES (1, 1)", {"DELETE FROM person WHERE id = 1"},
                "SELECT count(*) FROM pet WHERE owner = 1");
}

TEST_F(SqliteGuards, ChildOfAParentWhoseDeletionIsInDoubtCannotBeInserted) {
  ExpectHeldOff("DELETE FROM person WHERE id = 2", {"INSERT INTO pet VALUES (5, 2)"},
                "SELECT 1 - count(*) FROM person WHERE id = 2");
}

TEST_F(SqliteGuards, TwoBranchesMayReferToOneParent) {
  const Gid first = NewTestGid(), second = NewTestGid();
  EXPECT_EQ(Prepare(first, "INSERT INTO pet VALUES (1, 1)").kind, VoteKind::kYes);
  EXPECT_EQ(Prepare(second, "INSERT INTO pet VALUES (2, 1)").kind, VoteKind::kYes);
  EXPECT_EQ(CommitNow(*participant_, first, "").kind, AckKind::kDone);
  EXPECT_EQ(CommitNow(*participant_, second, "").kind, AckKind::kDone);
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM pet"), "2");
}

TEST_F(SqliteGuards, AutomaticRowidsOfTwoBranchesDoNotCollide) {
  const Gid first = NewTestGid(), second = NewTestGid();
  EXPECT_EQ(Prepare(first, "INSERT INTO pet (owner) VALUES (1)").kind, VoteKind::kYes);
  const Vote vote = Prepare(second, "INSERT INTO pet (owner) VALUES (1)");
  EXPECT_EQ(vote.kind, VoteKind::kNo);
  EXPECT_THAT(vote.reason, HasSubstr("is held by"));
  EXPECT_EQ(CommitNow(*participant_, first, "").kind, AckKind::kDone);
}

TEST_F(SqliteGuards, SchemaChangeInBetweenIsHeuristic) {
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, "INSERT INTO person VALUES (3, 'c@x', '')").kind, VoteKind::kYes);
  ASSERT_EQ(Ask(path_, "ALTER TABLE person DROP COLUMN note"), "");
  const Ack ack = CommitNow(*participant_, gid, "");
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason, HasSubstr("schema"));
}

TEST_F(SqliteGuards, LostBranchIsHeuristicAndNeverASilentCommit) {
  const Gid gid = NewTestGid();
  ASSERT_EQ(Prepare(gid, "INSERT INTO person VALUES (3, 'c@x', '')").kind, VoteKind::kYes);
  Ask(path_, "DELETE FROM indoubt_branch; DELETE FROM indoubt_lock");
  EXPECT_EQ(CommitNow(*participant_, gid, "").kind, AckKind::kHeuristic);
}

TEST_F(SqliteGuards, WorkThatCannotBeKeptIsANoWithTheReason) {
  Ask(path_, "CREATE TABLE loose (x); CREATE TABLE nullable (k TEXT PRIMARY KEY, v)");
  Make({"person", "pet", "nullable"});
  const std::vector<std::pair<std::string, std::string>> refused{
      {"INSERT INTO nullable VALUES (NULL, 1)", "NULL"},
      {"INSERT INTO loose VALUES (1)", "loose"},
      {"CREATE TABLE t (x)", "only SELECT"},
      {"COMMIT", "only SELECT"},
      {"PRAGMA user_version = 3", "only SELECT"},
      {"ATTACH 'x' AS y", "only SELECT"},
      {"INSERT INTO pet VALUES (1, 99)", "FOREIGN KEY"},
      {"UPDATE person SET note = 'x' WHERE id = 1; DELETE FROM person", "more than one"}};
  for (const auto& [sql, reason] : refused) {
    const Vote vote = Prepare(NewTestGid(), sql);
    EXPECT_EQ(vote.kind, VoteKind::kNo) << sql;
    EXPECT_THAT(vote.reason, HasSubstr(reason)) << sql;
  }
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_branch"), "0");
}

TEST_F(SqliteGuards, TableWithoutAKeyOrWithATriggerIsRefusedByPreflight) {
  Ask(path_,
      "CREATE TABLE loose (x); CREATE TRIGGER t AFTER INSERT ON pet BEGIN SELECT 1; END");
  Make({"person", "pet", "loose", "missing"});
  const auto report = participant_->Preflight(TestDeadline());
  ASSERT_TRUE(report);
  ASSERT_FALSE(report->problems.empty());
  for (const char* named : {"loose", "trigger t", "missing"}) {
    EXPECT_THAT(report->problems[0], HasSubstr(named));
  }
}

}  // namespace

INDOUBT_INSTANTIATE_CONTRACT(Sqlite, MakeSqliteContractStore);

}  // namespace indoubt
