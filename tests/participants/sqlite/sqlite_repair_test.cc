// A file of which something of ours was lost or left over is mended, with indoubt or with
// the sqlite3 shell alone, and a file that cannot keep the promise is told of.
#include "participants/sqlite/sqlite_repair.h"

#include <fstream>
#include <sstream>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/participants/sqlite/sqlite_fixture.h"

namespace indoubt {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kGuards =
    "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'indoubt%'";

class SqliteRepair : public SqliteGuards {
 protected:
  std::vector<std::string> Repair(const std::vector<std::string>& tables) {
    auto lines = RepairSqliteFile({"store", path_, tables}, TestDeadline());
    EXPECT_TRUE(lines) << lines.error().ToString();
    return lines ? *lines : std::vector<std::string>();
  }
};

TEST_F(SqliteRepair, FileWithNothingWrongIsLeftAsItIs) {
  EXPECT_THAT(Repair({"person", "pet"}), Contains(HasSubstr("installed anew")));
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "INSERT INTO person VALUES (3, 'c@x', '')");
  EXPECT_THAT(Repair({"person", "pet"}), IsEmpty());
  ExpectCommits(gid, token);
}

TEST_F(SqliteRepair, TriggersGoFromATableThatIsNotManagedAnyMore) {
  Repair({"person", "pet"});
  ASSERT_EQ(Ask(path_, "CREATE TABLE alone (id INTEGER PRIMARY KEY)"), "");
  Repair({"person", "pet", "alone"});
  const std::string all = Ask(path_, kGuards);
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "INSERT INTO person VALUES (3, 'c@x', '')");
  EXPECT_THAT(Repair({"person", "pet"}), Contains(HasSubstr("while branches are in doubt")));
  EXPECT_EQ(Ask(path_, kGuards), all);
  ExpectCommits(gid, token);
  EXPECT_THAT(Repair({"person", "pet"}), Contains(HasSubstr("on alone")));
  EXPECT_EQ(Ask(path_,
                "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name "
                "= 'alone'"),
            "0");
}

TEST_F(SqliteRepair, LocksThatWereDroppedAreBackAndThoseOfNoBranchAreGone) {
  Repair({"person", "pet"});
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "INSERT INTO person VALUES (3, 'c@x', '')");
  ASSERT_EQ(Ask(path_,
                "DELETE FROM indoubt_lock;"
                "INSERT INTO indoubt_lock VALUES ('person(id)', 1, 'x', 'nobody', 'store')"),
            "");
  EXPECT_THAT(Ask(path_, "UPDATE person SET note = 'n' WHERE id = 1"), HasSubstr("indoubt"));
  const std::vector<std::string> lines = Repair({"person", "pet"});
  EXPECT_THAT(lines, Contains(HasSubstr("1 locks of no branch dropped")));
  EXPECT_THAT(lines, Contains(HasSubstr(gid.ToString())));
  EXPECT_EQ(Ask(path_, "UPDATE person SET note = 'n' WHERE id = 1"), "");
  EXPECT_THAT(Ask(path_, "INSERT INTO person VALUES (4, 'c@x', '')"), HasSubstr("indoubt"));
  ExpectCommits(gid, token);
}

TEST_F(SqliteRepair, DroppedOrChangedTriggersAreBack) {
  Repair({"person", "pet"});
  const std::string all = Ask(path_, kGuards);
  ASSERT_EQ(Ask(path_,
                "DROP TRIGGER indoubt_guard_UPDATE_person; DROP TRIGGER "
                "indoubt_guard_INSERT_person; CREATE TRIGGER indoubt_guard_INSERT_person AFTER "
                "INSERT ON person BEGIN SELECT RAISE(ABORT, 'nobody writes here'); END"),
            "");
  EXPECT_THAT(Repair({"person", "pet"}),
              ::testing::UnorderedElementsAre("indoubt_guard_INSERT_person installed anew",
                                              "indoubt_guard_UPDATE_person installed anew"));
  EXPECT_EQ(Ask(path_, kGuards), all);
  EXPECT_EQ(Ask(path_, "INSERT INTO person VALUES (3, 'c@x', '')"), "");
}

TEST_F(SqliteRepair, TablesThatCannotBeManagedAnyMoreAreFreeForOthers) {
  Repair({"person", "pet"});
  ASSERT_EQ(Ask(path_, "DROP TABLE indoubt_lock"), "")
      << "dropped by somebody who knew no better";
  ASSERT_THAT(Ask(path_, "UPDATE person SET note = 'n'"), HasSubstr("indoubt_lock"));
  EXPECT_THAT(Repair({"person", "missing"}),
              Contains(HasSubstr("indoubt_lock installed anew")));
  EXPECT_EQ(Ask(path_, "UPDATE person SET note = 'n'"), "");
  EXPECT_EQ(Ask(path_, kGuards), "0");
}

TEST_F(SqliteRepair, FileThatCanOnlyBeReadIsAProblemAndNotHealthy) {
  ASSERT_EQ(Ask(path_, "PRAGMA journal_mode=DELETE"), "delete");
  ASSERT_EQ(chmod(path_.c_str(), 0444), 0);
  const pid_t child = fork();
  if (child == 0) {
    // The permissions of a file do not bind root.
    constexpr uid_t kNobody = 65534;
    if (geteuid() == 0 && (setgid(kNobody) != 0 || setuid(kNobody) != 0)) _exit(2);
    // A participant of its own: the other's thread has stayed with the parent.
    auto own = MakeSqliteParticipant({"store", path_, {"person"}});
    const auto report = (*own)->Preflight(TestDeadline());
    const bool told = report && report->problems.size() == 1 &&
                      report->problems[0].find("can only be read") != std::string::npos;
    const Vote vote = PrepareNow(**own, NewTestGid(), {{"DELETE FROM pet", {}, {}}}).vote;
    _exit(told && vote.kind == VoteKind::kNo ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

/// The indented blocks of docs/sqlite.md on the way out, in their order.
std::vector<std::string> DocumentedCommands() {
  std::ifstream file(INDOUBT_SOURCE_DIR "/docs/sqlite.md");
  std::vector<std::string> blocks;
  bool inside = false, open = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) inside = line.starts_with("## The way out");
    const bool code = inside && line.starts_with("    ");
    if (code && !open) blocks.emplace_back();
    if (code) blocks.back() += line.substr(4) + "\n";
    open = code;
  }
  return blocks;
}

class SqliteWayOut : public SqliteGuards {
 protected:
  void SetUp() override {
    SqliteGuards::SetUp();
    blocks_ = DocumentedCommands();
    ASSERT_EQ(blocks_.size(), 6u);
  }
  /// Runs a documented block as it stands there, with the gid and the file filled in.
  std::string RunBlock(size_t number, const std::string& gid) {
    std::string block = blocks_.at(number);
    for (size_t at; (at = block.find("GID")) != block.npos;) block.replace(at, 3, gid);
    for (size_t at; (at = block.find("ledger.db")) != block.npos;)
      block.replace(at, 9, "store.db");
    const bool shell = block.starts_with("sqlite3 ");
    const std::string script = folder_.path() + "/script";
    std::ofstream(script) << block;
    const auto ran =
        RunProgram({.argv = {"sh", "-c", shell ? "sh script" : "sqlite3 store.db < script"},
                    .working_directory = folder_.path()},
                   TestDeadline());
    EXPECT_TRUE(ran) << block << ran.error().ToString();
    return ran ? *ran : std::string();
  }
  std::vector<std::string> blocks_;
};

TEST_F(SqliteWayOut, TheDocumentedCommandsCommit) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "UPDATE person SET note = 'it''s mine' WHERE id = 1");
  EXPECT_THAT(RunBlock(0, ""), HasSubstr(gid.ToString() + "|store"));
  RunBlock(2, gid.ToString());
  RunBlock(3, gid.ToString());
  EXPECT_EQ(Ask(path_, "SELECT note FROM person WHERE id = 1"), "it's mine");
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_lock"), "0");
  ExpectCommits(gid, token);  // the coordinator comes back and finds it done
}

TEST_F(SqliteWayOut, TheDocumentedCommandsRollBack) {
  const Gid gid = NewTestGid();
  PrepareYes(gid, "UPDATE person SET note = 'mine' WHERE id = 1");
  RunBlock(1, gid.ToString());
  EXPECT_EQ(Ask(path_, "UPDATE person SET note = 'free' WHERE id = 1"), "");
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_branch"), "0");
  EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kDone);
}

TEST_F(SqliteWayOut, TheDocumentedCommandsTakeIndoubtOutOfTheFile) {
  const Gid gid = NewTestGid();
  ExpectCommits(gid, PrepareYes(gid, "UPDATE person SET note = 'mine' WHERE id = 1"));
  participant_.reset();
  RunBlock(4, "");
  RunBlock(5, "");
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM sqlite_master WHERE name LIKE '%indoubt%'"), "0");
  EXPECT_EQ(Ask(path_, "UPDATE person SET note = 'free' WHERE id = 1"), "");
  Make({"person", "pet"});
  PrepareYes(NewTestGid(), "UPDATE person SET note = 'again' WHERE id = 1");
}

}  // namespace
}  // namespace indoubt
