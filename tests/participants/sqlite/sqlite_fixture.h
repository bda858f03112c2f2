// A SQLite file for the adapter's tests, and an outsider who looks at it.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "faults/process.h"
#include "participants/sqlite/sqlite_participant.h"
#include "tests/participants/contract_calls.h"

namespace indoubt {

/// Runs SQL as any other program would; an error's text starts with "error".
inline std::string Ask(const std::string& path, const std::string& sql) {
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
  Token PrepareYes(const Gid& gid, const std::string& sql) {
    const Vote vote = Prepare(gid, sql);
    EXPECT_EQ(vote.kind, VoteKind::kYes) << sql << ": " << vote.reason;
    return vote.token;
  }
  void ExpectCommits(const Gid& gid, const Token& token) {
    const Ack ack = CommitNow(*participant_, gid, token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
  }
  /// Prepares, expects outside SQL to be held off, commits, expects `check` to give 1.
  void ExpectHeldOff(const std::string& work, const std::vector<std::string>& outside,
                     const std::string& check) {
    const Gid gid = NewTestGid();
    const Vote vote = Prepare(gid, work);
    ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
    for (const std::string& sql : outside) {
      EXPECT_THAT(Ask(path_, sql), ::testing::HasSubstr("indoubt")) << sql;
    }
    const Ack ack = CommitNow(*participant_, gid, vote.token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
    EXPECT_EQ(Ask(path_, check), "1") << check;
    for (const std::string& sql : outside) {
      EXPECT_THAT(Ask(path_, sql), ::testing::Not(::testing::HasSubstr("indoubt"))) << sql;
    }
  }

  ScratchFolder folder_{"indoubt-sqlite-guards"};
  const std::string path_ = folder_.path() + "/store.db";
  std::unique_ptr<Participant> participant_;
};

}  // namespace indoubt
