// Random branches over tables with whatever a schema may hold, beside a twin file that
// plain SQLite changes: a yes is committed, with the effect of the plain statements,
// and a no or a roll back leaves nothing.
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/participants/sqlite/sqlite_fixture.h"

namespace indoubt {
namespace {

constexpr int kBranches = 300;

constexpr const char* kSchema =
    "PRAGMA journal_mode=WAL;"
    "CREATE TABLE item (id INTEGER PRIMARY KEY, code TEXT UNIQUE ON CONFLICT REPLACE,"
    " price REAL, n NUMERIC CHECK (n < 1000));"
    "CREATE TABLE tag (name TEXT PRIMARY KEY COLLATE NOCASE, item INTEGER REFERENCES item (id)"
    " ON DELETE CASCADE ON UPDATE CASCADE) WITHOUT ROWID;"
    "CREATE TABLE total (id INTEGER PRIMARY KEY, n);"
    "CREATE TRIGGER counts AFTER INSERT ON item BEGIN UPDATE total SET n = n + 1; END;"
    "INSERT INTO total VALUES (1, 0);"
    "CREATE TABLE seat (id INTEGER PRIMARY KEY, place INTEGER, taken INTEGER, note);"
    "CREATE UNIQUE INDEX one_a_place ON seat (place) WHERE taken;"
    "INSERT INTO seat VALUES (0, 1, 1, ''), (1, 1, 0, ''), (2, 2, 1, ''), (3, 2, 0, '');"
    // Imported past its CHECK, as the shell can.
    "PRAGMA ignore_check_constraints = ON;"
    "INSERT INTO item VALUES (100, 'import', 1.5, 5000)";

class SqliteRepeat : public testing::Test {
 protected:
  void SetUp() override {
    Ask(path_, kSchema);
    Ask(twin_, kSchema);
    auto made = MakeSqliteParticipant({"store", path_, {"item", "tag", "total", "seat"}});
    ASSERT_TRUE(made) << made.error().ToString();
    participant_ = *std::move(made);
  }

  std::string SomeStatement() {
    const uint64_t id = random_() % 8, other = random_() % 8;
    switch (random_() % 12) {
      case 0:
        return fmt::format("INSERT INTO item VALUES ({}, 'c{}', {}, '{}')", id, other, id,
                           other * 300);
      case 1:
        return fmt::format("REPLACE INTO item VALUES ({}, 'C{}', '1e3', 1.0)", id, other);
      case 2:
        return fmt::format("UPDATE item SET code = 'c{}', n = n + 1 WHERE id = {}", other, id);
      case 3:
        return fmt::format("UPDATE OR IGNORE item SET id = {} WHERE id = {}", other, id);
      case 4:
        return fmt::format("DELETE FROM item WHERE id = {} OR code = 'c{}'", id, other);
      case 5:
        return fmt::format("INSERT OR IGNORE INTO tag VALUES ('t{}', {})", other, id);
      case 6:
        return fmt::format("UPDATE tag SET name = upper(name), item = {} WHERE name = 'T{}'",
                           id, other);
      case 7:
        return fmt::format(
            "UPDATE item SET price = price * 3, n = n || '0' WHERE id > {} AND id < 100", id);
      case 8:
        return fmt::format("UPDATE item SET price = {} WHERE id = {}", other,
                           id < 4 ? id : 100);
      case 9:
        return fmt::format("UPDATE seat SET taken = {} WHERE id = {}", other % 2, id % 4);
      case 10:
        return fmt::format("UPDATE seat SET note = note || 'x' WHERE id = {}", id % 4);
      default:
        return fmt::format("UPDATE item SET id = id + 10 * {} WHERE id < 5", random_() % 2);
    }
  }

  std::vector<Statement> SomeBranch() {
    std::vector<Statement> statements(1 + random_() % 3);
    for (Statement& statement : statements) statement.text = SomeStatement();
    return statements;
  }

  /// Runs them as one transaction of plain SQLite; whether they went through.
  bool RunPlainly(const std::vector<Statement>& statements) {
    std::string sql = "PRAGMA foreign_keys=ON; BEGIN;";
    for (const Statement& statement : statements) sql += statement.text + ";";
    return !Ask(twin_, sql + "COMMIT").starts_with("error");
  }

  static std::string Contents(const std::string& path) {
    std::string all;
    for (const char* row :
         {"quote(id)||quote(code)||quote(price)||quote(n) AS r FROM item",
          "quote(name)||quote(item) AS r FROM tag", "quote(id)||quote(n) AS r FROM total",
          "quote(id)||quote(place)||quote(taken)||quote(note) AS r FROM seat"}) {
      all += Ask(path,
                 fmt::format("SELECT group_concat(r, ' ') FROM (SELECT {} ORDER BY r)", row)) +
             "\n";
    }
    return all;
  }

  ScratchFolder folder_{"indoubt-sqlite-repeat"};
  const std::string path_ = folder_.path() + "/store.db", twin_ = folder_.path() + "/twin.db";
  std::unique_ptr<Participant> participant_;
  std::mt19937_64 random_;
};

TEST_F(SqliteRepeat, EveryYesIsCommittedWithTheEffectOfPlainStatements) {
  const uint64_t seed = std::random_device()();
  random_.seed(seed);
  int committed = 0, rolled_back = 0, refused = 0;
  for (int branch = 0; branch < kBranches; ++branch) {
    const std::string before = Contents(path_);
    const std::vector<Statement> statements = SomeBranch();
    std::string text;
    for (const Statement& statement : statements) text += statement.text + "; ";
    SCOPED_TRACE(fmt::format("seed {} branch {}: {}", seed, branch, text));
    const Gid gid = NewTestGid();
    const Vote vote = PrepareNow(*participant_, gid, statements).vote;
    ASSERT_NE(vote.kind, VoteKind::kUnknown) << vote.reason;
    ASSERT_EQ(Contents(path_), before) << "a vote changes nothing that others see";
    if (vote.kind == VoteKind::kNo) {
      ++refused;
    } else if (vote.kind == VoteKind::kYes && random_() % 4 == 0) {
      ASSERT_EQ(RollbackNow(*participant_, gid, vote.token).kind, AckKind::kDone);
      ASSERT_EQ(Contents(path_), before);
      ++rolled_back;
    } else {
      if (vote.kind == VoteKind::kYes) {
        const Ack ack = CommitNow(*participant_, gid, vote.token);
        ASSERT_EQ(ack.kind, AckKind::kDone) << ack.reason;
        ++committed;
      }
      ASSERT_TRUE(RunPlainly(statements));
      ASSERT_EQ(Contents(path_), Contents(twin_));
    }
  }
  fmt::print("seed {}: {} committed, {} rolled back, {} refused\n", seed, committed,
             rolled_back, refused);
  EXPECT_GT(committed, kBranches / 10);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace indoubt
