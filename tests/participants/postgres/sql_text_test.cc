#include "participants/postgres/sql_text.h"

#include <gtest/gtest.h>

#include "participants/postgres/final_reply.h"
#include "participants/postgres/listing.h"
#include "participants/postgres/postgres_participant.h"

namespace indoubt::pg {
namespace {

Statement Sql(std::string text) {
  return {.text = std::move(text), .params = {}, .expect_rows = {}};
}

TEST(FirstKeyword, LooksBehindCommentsAndPunctuation) {
  EXPECT_EQ(FirstKeyword("  select 1"), "SELECT");
  EXPECT_EQ(FirstKeyword("-- commit\n/* a /* nested */ one */ ;( Insert"), "INSERT");
  EXPECT_EQ(FirstKeyword("/* never closed"), "");
  EXPECT_EQ(FirstKeyword(""), "");
}

TEST(CheckStatement, RefusesTransactionControlHoweverItHides) {
  for (const char* text : {"COMMIT", "/* x */ end", "; rollback", "START TRANSACTION",
                           "prepare transaction 'x'", "ABORT", "copy t from stdin"}) {
    EXPECT_EQ(CheckStatement(Sql(text)).code(), StatusCode::kAborted) << text;
  }
  EXPECT_TRUE(CheckStatement(Sql("ROLLBACK TO SAVEPOINT s")).ok());
  EXPECT_TRUE(CheckStatement(Sql("PREPARE plan AS SELECT 1")).ok());
}

TEST(CheckStatement, RefusesWhatTheWireWouldTruncate) {
  EXPECT_FALSE(CheckStatement(Sql(std::string("SELECT 1\0; x", 12))).ok());
  Statement statement = Sql("SELECT $1");
  statement.params = {Value{std::string("a\0b", 3)}};
  EXPECT_FALSE(CheckStatement(statement).ok());
  statement.params = {Value{Blob{std::string("a\0b", 3)}}};
  EXPECT_TRUE(CheckStatement(statement).ok());
}

TEST(MayChangeSession, KnowsWhatOutlivesATransaction) {
  EXPECT_TRUE(MayChangeSession("SET synchronous_commit = off"));
  EXPECT_TRUE(MayChangeSession("SELECT set_config('a.b', '1', false)"));
  EXPECT_TRUE(MayChangeSession("SELECT pg_advisory_lock(1)"));
  EXPECT_FALSE(MayChangeSession("UPDATE t SET x = 1"));
  EXPECT_FALSE(MayChangeSession("LOCK TABLE t"));
}

TEST(TakesLock, KnowsWhatIsMeantToBeHeld) {
  for (const char* text :
       {"lock t", "LOCK TABLE t IN SHARE MODE", "SELECT pg_advisory_xact_lock(1)",
        "select PG_TRY_ADVISORY_XACT_LOCK_SHARED(1)", "DO $$ BEGIN LOCK TABLE t; END $$"}) {
    EXPECT_TRUE(TakesLock(text)) << text;
  }
  for (const char* text :
       {"SELECT lock FROM t", "SELECT pg_advisory_lock(1)", "DO $$ END $$"}) {
    EXPECT_FALSE(TakesLock(text)) << text;
  }
}

TEST(Notifies, KnowsTheStatementAndTheFunction) {
  EXPECT_TRUE(Notifies("notify a"));
  EXPECT_TRUE(Notifies("SELECT pg_notify('a', '')"));
  EXPECT_FALSE(Notifies("SELECT notify FROM t"));
}

TEST(MayBeKept, LeavesOutWhatIsReadWhenItIsParsed) {
  EXPECT_TRUE(MayBeKept("UPDATE t SET x = x * $1 WHERE id = $2"));
  EXPECT_TRUE(MayBeKept("SELECT x FROM t WHERE id = $1 FOR UPDATE"));
  for (const char* text : {"INSERT INTO t VALUES ('now')", "INSERT INTO t VALUES ($$now$$)",
                           "INSERT INTO t VALUES ($a$now$a$)", "SELECT * FROM t",
                           "DELETE FROM t RETURNING *", "SET x = 1", "PREPARE p AS SELECT 1"}) {
    EXPECT_FALSE(MayBeKept(text)) << text;
  }
  EXPECT_FALSE(MayBeKept("UPDATE t SET x = 1 -- " + std::string(10'000, 'x')));
}

TEST(WidenXid, TakesTheTurnBeforeTheNext) {
  EXPECT_EQ(WidenXid(700, 800), 700u);
  EXPECT_EQ(WidenXid(5, (uint64_t{3} << 32) + 10), (uint64_t{3} << 32) + 5);
  EXPECT_EQ(WidenXid(0xfffffff0u, (uint64_t{3} << 32) + 10), (uint64_t{2} << 32) + 0xfffffff0u);
}

ScriptReply Final(Reply::Kind kind, std::string tag, std::string sqlstate) {
  ScriptReply script;
  Reply& reply = script.replies.emplace_back();
  reply.kind = kind;
  reply.tag = std::move(tag);
  reply.sqlstate = std::move(sqlstate);
  return script;
}

TEST(ReadFinalReply, PrepareAnsweredRollbackIsANo) {
  const auto read = [](const ScriptReply& reply) {
    return ReadFinalReply(Ending::kPrepare, reply, 0).kind;
  };
  EXPECT_EQ(read(Final(Reply::Kind::kDone, "PREPARE TRANSACTION", "")), Finished::Kind::kDone);
  EXPECT_EQ(read(Final(Reply::Kind::kDone, "ROLLBACK", "")), Finished::Kind::kNo);
  EXPECT_EQ(read(Final(Reply::Kind::kError, "", "23503")), Finished::Kind::kNo);
  // Cancelled or shut down: perhaps just after it had become durable.
  EXPECT_EQ(read(Final(Reply::Kind::kError, "", "57P01")), Finished::Kind::kUnknown);
  EXPECT_EQ(read(Final(Reply::Kind::kSkipped, "", "")), Finished::Kind::kUnknown);
}

TEST(AckWithoutBranch, UnknownIsNeitherDoneNorLost) {
  EXPECT_EQ(AckWithoutBranch(SecondPhase::kCommit, "7", Fate::kNoAnswer).kind, AckKind::kRetry);
  EXPECT_EQ(AckWithoutBranch(SecondPhase::kCommit, "7", Fate::kCommitted).kind, AckKind::kDone);
  EXPECT_EQ(AckWithoutBranch(SecondPhase::kCommit, "7", Fate::kTooOld).kind,
            AckKind::kHeuristic);
  EXPECT_EQ(AckWithoutBranch(SecondPhase::kCommit, "7", Fate::kInFuture).kind,
            AckKind::kHeuristic);
  EXPECT_EQ(AckWithoutBranch(SecondPhase::kRollback, "", Fate::kNoAnswer).kind, AckKind::kDone);
}

TEST(MakePostgresParticipant, ShowsNothingOfAConnectionStringThatItCannotParse) {
  const auto made = MakePostgresParticipant({.name = "store", .dsn = "host=x sesame"});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(made.error().message().find("sesame"), std::string::npos);
}

}  // namespace
}  // namespace indoubt::pg
