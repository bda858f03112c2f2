// A disk that is full or fails, and a file that is damaged, under every call on a branch: no
// yes vote that is not true, no decision that is lost, and the file is named.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/participants/sqlite/failing_disk.h"
#include "tests/participants/sqlite/sqlite_fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

enum class Call { kWorkAndPrepare, kPrepare, kCommit, kRollback, kOnePhase };
constexpr std::array kAllCalls{Call::kWorkAndPrepare, Call::kPrepare, Call::kCommit,
                               Call::kRollback, Call::kOnePhase};

class SqliteDisk : public SqliteGuards {
 protected:
  /// No participant is left: its last connection writes its journal into the file.
  void StartOver() {
    participant_.reset();
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((path_ + suffix).c_str());
    ASSERT_EQ(Ask(path_,
                  "PRAGMA journal_mode=WAL; CREATE TABLE person (id INTEGER PRIMARY KEY, email "
                  "TEXT UNIQUE, note TEXT);"
                  "CREATE TABLE pet (id INTEGER PRIMARY KEY, owner INTEGER);"
                  "INSERT INTO person VALUES (1, 'a@x', ''), (2, 'b@x', '')"),
              "wal");
    Make({"person", "pet"});
  }
  std::vector<Statement> Statements() {
    return {{"UPDATE person SET note = hex(zeroblob(5)) WHERE id = 1", {}, {}},
            {"INSERT INTO person VALUES (3, 'c@x', 'new')", {}, {}}};
  }
  std::vector<PreparedBranch> Listed(Participant& participant) {
    const auto listed = participant.ListPrepared(TestDeadline());
    EXPECT_TRUE(listed) << listed.error().ToString();
    return listed ? *listed : std::vector<PreparedBranch>();
  }
  void ExpectWritten(const std::string& path) {
    EXPECT_EQ(Ask(path, "SELECT group_concat(id || length(note)) FROM person"), "110,20,33");
  }
  void ExpectNothingWritten(const std::string& path) {
    EXPECT_EQ(Ask(path, "SELECT group_concat(id || length(note)) FROM person"), "10,20");
  }
  /// The file and its journal as a crash of this process would leave them.
  std::string CrashCopy() {
    const std::string copy = folder_.path() + "/crashed.db";
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((copy + suffix).c_str());
    for (const char* suffix : {"", "-wal"}) {
      if (std::filesystem::exists(path_ + suffix)) {
        std::filesystem::copy_file(path_ + suffix, copy + suffix);
      }
    }
    return copy;
  }
  /// A yes vote or an acknowledged end is true after a crash too.
  void ExpectSurvives(size_t prepared, bool written) {
    const std::string copy = CrashCopy();
    auto made = MakeSqliteParticipant({"store", copy, {"person", "pet"}});
    ASSERT_TRUE(made);
    EXPECT_EQ(Listed(**made).size(), prepared);
    if (prepared == 0 && written) ExpectWritten(copy);
    if (prepared == 0 && !written) ExpectNothingWritten(copy);
  }
  /// What went wrong names the file.
  void ExpectNamesTheFile(const std::string& reason) { EXPECT_THAT(reason, HasSubstr(path_)); }

  void JudgeVote(const Gid& gid, const Vote& vote) {
    if (vote.kind == VoteKind::kYes) {
      ExpectSurvives(1, false);
      ExpectCommits(gid, vote.token);
      ExpectWritten(path_);
      return;
    }
    ExpectNamesTheFile(vote.reason);
    EXPECT_NE(vote.kind, VoteKind::kReadOnly);
    if (vote.kind == VoteKind::kNo) ExpectSurvives(0, false);
    EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kDone);
    ExpectNothingWritten(path_);
  }
  void JudgeAck(const Gid& gid, const Token& token, const Ack& ack, bool commits) {
    EXPECT_NE(ack.kind, AckKind::kHeuristic) << ack.reason;
    if (ack.kind == AckKind::kDone) ExpectSurvives(0, commits);
    if (ack.kind == AckKind::kRetry) ExpectNamesTheFile(ack.reason);
    const Ack again =
        commits ? CommitNow(*participant_, gid, token) : RollbackNow(*participant_, gid, token);
    EXPECT_EQ(again.kind, AckKind::kDone) << again.reason;
    commits ? ExpectWritten(path_) : ExpectNothingWritten(path_);
  }
  void JudgeOnePhase(const OnePhaseReply& reply) {
    if (reply.kind != OnePhaseKind::kCommitted) ExpectNamesTheFile(reply.reason);
    if (reply.kind != OnePhaseKind::kUnknown) {
      ExpectSurvives(0, reply.kind == OnePhaseKind::kCommitted);
    }
    if (reply.kind == OnePhaseKind::kCommitted) ExpectWritten(path_);
    if (reply.kind == OnePhaseKind::kRolledBack) ExpectNothingWritten(path_);
  }

  /// Makes `call` with the fault armed, heals, and judges; returns whether it struck.
  bool Round(Call call, const DiskFault& fault) {
    StartOver();
    const Gid gid = NewTestGid();
    Token token;
    if (call == Call::kCommit || call == Call::kRollback) {
      token = PrepareNow(*participant_, gid, Statements()).vote.token;
      EXPECT_NE(token, "");
    }
    if (fault.call == DiskFault::Call::kRead) Make({"person", "pet"});  // has read nothing
    auto branch = participant_->Begin(gid, TestDeadline());
    const auto attempt = [&](Ack (SqliteDisk::*decide)(const Gid&, const Token&)) {
      disk_.Arm(fault);
      const Ack ack = (this->*decide)(gid, token);
      disk_.Heal();
      return ack;
    };
    switch (call) {
      case Call::kWorkAndPrepare:
      case Call::kPrepare: {
        disk_.Arm(fault);
        if (call == Call::kWorkAndPrepare) {
          const auto worked = WorkNow(*branch, {Statements()[0]});
          if (!worked) ExpectNamesTheFile(worked.error().message());
        }
        const bool all = call == Call::kPrepare;
        const PrepareReply reply =
            PrepareNow(*branch, all ? Statements() : std::vector<Statement>{Statements()[1]});
        disk_.Heal();
        JudgeVote(gid, reply.vote);
        break;
      }
      case Call::kCommit:
        JudgeAck(gid, token, attempt(&SqliteDisk::CommitOnce), true);
        break;
      case Call::kRollback:
        JudgeAck(gid, token, attempt(&SqliteDisk::RollbackOnce), false);
        break;
      case Call::kOnePhase: {
        disk_.Arm(fault);
        const OnePhaseReply reply = CommitOnePhaseNow(*branch, Statements());
        disk_.Heal();
        JudgeOnePhase(reply);
        break;
      }
    }
    EXPECT_THAT(Listed(*participant_), IsEmpty());
    EXPECT_EQ(Ask(path_, "UPDATE person SET note = 'free'"), "") << "a lock was left behind";
    return disk_.strikes() > 0;
  }
  Ack CommitOnce(const Gid& gid, const Token& token) {
    return StartCommit(*participant_, gid, token, TestDeadline()).get();
  }
  Ack RollbackOnce(const Gid& gid, const Token& token) {
    return StartRollback(*participant_, gid, token, TestDeadline()).get();
  }

  /// At the first, second, ... file call of each call on a branch; returns how many struck.
  int AtEveryFileCall(DiskFault fault) {
    int struck = 0;
    for (const Call call : kAllCalls) {
      for (fault.turn = 1;; ++fault.turn) {
        SCOPED_TRACE(fmt::format("call {}, file call {}", static_cast<int>(call), fault.turn));
        if (!Round(call, fault) || HasFailure()) break;
        ++struck;
      }
      if (HasFailure()) break;
    }
    return struck;
  }

  FailingDisk disk_;
};

/// Every pair of once or lasting with write or sync takes a minute: INDOUBT_LONG=1.
bool Whole() { return std::getenv("INDOUBT_LONG") != nullptr; }

TEST_F(SqliteDisk, FullAtAnyWriteIsANoBeforeTheVoteAndAskedAgainAfterIt) {
  for (const bool lasting : {true, false}) {
    if (!lasting && !Whole()) continue;
    const int struck = AtEveryFileCall(
        {.call = DiskFault::Call::kWrite, .code = SQLITE_FULL, .lasting = lasting});
    std::printf("full%s at %d writes\n", lasting ? " for long" : "", struck);
    EXPECT_GE(struck, 20);
  }
}

TEST_F(SqliteDisk, InputOutputErrorAtAnyWriteOrSyncNeverMakesAYesOrALostDecision) {
  for (const bool lasting : {false, true}) {
    const char* how = lasting ? " for long" : "";
    const int syncs = AtEveryFileCall(
        {.call = DiskFault::Call::kSync, .code = SQLITE_IOERR_FSYNC, .lasting = lasting});
    std::printf("I/O error%s at %d syncs\n", how, syncs);
    EXPECT_GE(syncs, 5) << "a call that is answered without a sync";
    if (lasting && !Whole()) continue;
    const int writes = AtEveryFileCall(
        {.call = DiskFault::Call::kWrite, .code = SQLITE_IOERR_WRITE, .lasting = lasting});
    std::printf("I/O error%s at %d writes\n", how, writes);
    EXPECT_GE(writes, 20);
  }
}

TEST_F(SqliteDisk, InputOutputErrorAtAnyReadIsNoHarm) {
  const int struck =
      AtEveryFileCall({.call = DiskFault::Call::kRead, .code = SQLITE_IOERR_READ});
  std::printf("I/O error at %d reads\n", struck);
  EXPECT_GE(struck, 20);
}

TEST_F(SqliteDisk, CommitIsAskedAgainAsLongAsTheDiskIsFullAndThenDone) {
  StartOver();
  const Gid gid = NewTestGid();
  const PrepareReply reply = PrepareNow(*participant_, gid, Statements());
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  disk_.Arm({.call = DiskFault::Call::kWrite, .code = SQLITE_FULL, .lasting = true});
  for (int i = 0; i < 5; ++i) {
    const Ack ack = CommitOnce(gid, reply.vote.token);
    EXPECT_EQ(ack.kind, AckKind::kRetry);
    EXPECT_THAT(ack.reason, HasSubstr("full"));
    ExpectNamesTheFile(ack.reason);
  }
  EXPECT_GE(disk_.strikes(), 5);
  EXPECT_EQ(Listed(*participant_).size(), 1u);
  const Vote other = Prepare(NewTestGid(), "INSERT INTO pet VALUES (1, NULL)");
  EXPECT_EQ(other.kind, VoteKind::kNo);
  EXPECT_THAT(other.reason, HasSubstr("full"));
  disk_.Heal();
  EXPECT_EQ(CommitOnce(gid, reply.vote.token).kind, AckKind::kDone);
  ExpectWritten(path_);
}

/// Overwrites a page of the file; the destructor puts back what was there.
class DamagedPage {
 public:
  DamagedPage(const std::string& path, int64_t number, int64_t size)
      : file_(path, std::ios::in | std::ios::out | std::ios::binary),
        at_((number - 1) * size),
        was_(static_cast<size_t>(size), '\0') {
    file_.seekg(at_).read(was_.data(), size);
    Write(std::string(static_cast<size_t>(size), '\xff'));
  }
  ~DamagedPage() { Write(was_); }
  DamagedPage(const DamagedPage&) = delete;
  DamagedPage& operator=(const DamagedPage&) = delete;

 private:
  void Write(const std::string& bytes) {
    file_.seekp(at_).write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush();
    INDOUBT_CHECK(file_.good(), "the page is in the file");
  }
  std::fstream file_;
  const std::streamoff at_;
  std::string was_;
};

TEST_F(SqliteDisk, DamagedFileIsANoBeforeTheVoteAndReportedAndAskedAgainAfterIt) {
  StartOver();
  const Gid gid = NewTestGid();
  const PrepareReply reply = PrepareNow(*participant_, gid, Statements());
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  participant_.reset();
  const int64_t root =
      std::stoll(Ask(path_, "SELECT rootpage FROM sqlite_master WHERE name = 'person'"));
  const int64_t size = std::stoll(Ask(path_, "PRAGMA page_size"));
  ASSERT_FALSE(std::filesystem::exists(path_ + "-wal")) << "the page may lie in the journal";
  Make({"person", "pet"});
  {
    const DamagedPage damaged(path_, root, size);
    const Vote vote = Prepare(NewTestGid(), "UPDATE person SET note = 'x' WHERE id = 2");
    EXPECT_EQ(vote.kind, VoteKind::kNo);
    EXPECT_THAT(vote.reason, HasSubstr("malformed"));
    ExpectNamesTheFile(vote.reason);
    for (int i = 0; i < 3; ++i) {
      const Ack ack = CommitOnce(gid, reply.vote.token);
      EXPECT_EQ(ack.kind, AckKind::kRetry);
      EXPECT_THAT(ack.reason, HasSubstr("malformed"));
      ExpectNamesTheFile(ack.reason);
    }
    EXPECT_EQ(Listed(*participant_).size(), 1u) << "the decision still waits";
  }
  EXPECT_EQ(CommitOnce(gid, reply.vote.token).kind, AckKind::kDone);
  ExpectWritten(path_);
}

TEST_F(SqliteDisk, FileThatIsNoDatabaseAnyMoreIsReportedAndNothingInItIsTakenForSettled) {
  StartOver();
  const Gid gid = NewTestGid();
  const PrepareReply reply = PrepareNow(*participant_, gid, Statements());
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  participant_.reset();
  ASSERT_EQ(Ask(path_, "PRAGMA wal_checkpoint(TRUNCATE)"), "0");
  const int64_t size = std::stoll(Ask(path_, "PRAGMA page_size"));
  {
    const DamagedPage damaged(path_, 1, size);
    Make({"person", "pet"});
    const auto report = participant_->Preflight(TestDeadline());
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error().message(), HasSubstr("not a database"));
    ExpectNamesTheFile(report.error().message());
    const auto listed = participant_->ListPrepared(TestDeadline());
    ASSERT_FALSE(listed) << "an empty list presumes an abort";
    ExpectNamesTheFile(listed.error().message());
    EXPECT_EQ(Prepare(NewTestGid(), "DELETE FROM pet").kind, VoteKind::kNo);
    for (const Ack& ack : {CommitOnce(gid, reply.vote.token), RollbackOnce(gid, "")}) {
      EXPECT_EQ(ack.kind, AckKind::kRetry);
      ExpectNamesTheFile(ack.reason);
    }
  }
  ExpectCommits(gid, reply.vote.token);
  ExpectWritten(path_);
}

}  // namespace
}  // namespace indoubt
