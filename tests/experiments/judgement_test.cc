#include "experiments/summary/judgement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/experiments/summarised_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class JudgementTest : public SummarisedRunTest {
 protected:
  int ExitCode() { return Judge(Summary()).exit_code(); }
};

TEST_F(JudgementTest, ARunWhoseExpectationsHoldPasses) {
  const RunJudgement judgement = Judge(Summary());
  EXPECT_EQ(judgement.exit_code(), 0);
  EXPECT_TRUE(judgement.reasons.empty());
}

TEST_F(JudgementTest, AFailedExpectationIsTen) {
  sample_.run["expect"].push_back({{"check", "2pc.in_doubt_ms.max < 1"}});
  EXPECT_EQ(ExitCode(), 10);
}

TEST_F(JudgementTest, EachPlantedViolationOnAPathThatPromisesIsEleven) {
  const json key = {{"key", "order:1"}, {"kind", "order"}, {"values", json::object()}};
  for (const std::string cell : {"2pc", "cdc"}) {
    for (const auto& [name, value] :
         std::map<std::string, json>{{"inconsistent", json::array({key})},
                                     {"lost_acknowledged", {"order:1"}},
                                     {"resurrected", {"order:1"}},
                                     {"unwritable", {"account:1"}},
                                     {"leftovers", {{"redis_locks", 1}}},
                                     {"recovery_idempotent", false}}) {
      sample_ = MakeSampleRun();
      sample_.run["expect"].push_back({{"check", "2pc.in_doubt_ms.max < 1"}});
      sample_.rep(cell).rep["final"][name] = value;
      EXPECT_EQ(ExitCode(), 11) << cell << " " << name;
    }
  }
}

TEST_F(JudgementTest, DualWritesViolationsAreResults) {
  sample_.rep("dual-write").rep["final"]["resurrected"] = {"order:1"};
  EXPECT_EQ(ExitCode(), 0);
}

TEST_F(JudgementTest, NoDataALoadThatFellBehindAndNoRecoveryAreInconclusive) {
  sample_.run["expect"].push_back({{"check", "2pc.lag_ms.max < 1"}});
  EXPECT_EQ(ExitCode(), 12);

  sample_ = MakeSampleRun();
  for (int i = 0; i < 2; ++i) {
    sample_.rep("cdc").files["ops.ndjson"].push_back(
        SampleOperation(300 + i, "dropped", 5 * kSecond, nullptr, nullptr));
  }
  EXPECT_EQ(ExitCode(), 12);

  sample_ = MakeSampleRun();
  sample_.rep("2pc").rep["faults"][0]["healed_at_ns"] = nullptr;
  EXPECT_EQ(ExitCode(), 12);

  sample_ = MakeSampleRun();
  sample_.run["status"] = "interrupted";
  EXPECT_EQ(ExitCode(), 12);

  sample_ = MakeSampleRun();
  sample_.rep("2pc").status = "failed";
  EXPECT_EQ(ExitCode(), 12);

  sample_ = MakeSampleRun();
  sample_.env["fdatasync_us"]["p50"] = 3.0;
  EXPECT_EQ(ExitCode(), 12);
}

TEST_F(JudgementTest, ARunDisturbedByHandIsNoEvidenceWhateverItsOtherRepetitionsSay) {
  sample_.rep("2pc", 2).status = "disturbed";
  EXPECT_EQ(ExitCode(), 12);
  EXPECT_THAT(VerdictText(Summary()),
              HasSubstr("2pc repetition 2: disturbed by hand, which is no evidence"));
  EXPECT_THAT(VerdictText(Summary()), HasSubstr("2pc paid writers blocked for up to 9.0 s"));
  sample_.rep("2pc").status = "disturbed";
  EXPECT_THAT(VerdictText(Summary()),
              HasSubstr("2pc paid a price that was not measured (each of its repetitions was "
                        "disturbed by hand)"));
  // No moment of killing excuses this.
  sample_.rep("2pc", 2).rep["final"]["lost_acknowledged"] = {"order:1"};
  EXPECT_EQ(ExitCode(), 11);
}

TEST_F(JudgementTest, TheVerdictNamesWhatEachPathPaidWithItsOwnFigures) {
  const std::string text = VerdictText(Summary());
  EXPECT_THAT(text,
              HasSubstr("2pc paid writers blocked for up to 9.0 s while transactions were "
                        "in doubt for up to 10.5 s, and 2 percent of its operations refused;"));
  EXPECT_THAT(text, HasSubstr("cdc paid data stale for up to 11.0 s"));
  EXPECT_THAT(text, HasSubstr("dual-write paid 2 keys inconsistent for good and 1 acknowledged "
                              "write lost"));
  EXPECT_THAT(text, HasSubstr("longest wait of an outside writer: none seen"));
  EXPECT_THAT(text, HasSubstr("5 of 5 expectations hold"));
}

TEST_F(JudgementTest, TheVerdictSaysWhichFigureIsMissing) {
  sample_.rep("2pc").files.erase("blocked.ndjson");
  const std::string text = VerdictText(Summary());
  EXPECT_THAT(text, HasSubstr("10.5 s in doubt (blocking not measured)"));
  EXPECT_THAT(text, HasSubstr("longest wait of an outside writer: not measured"));
  EXPECT_THAT(text, Not(HasSubstr("9.0 s")));
}

TEST_F(JudgementTest, ARepetitionThatWasNeverComparedLeavesTheVerdictWithoutThatFigure) {
  for (int n = 1; n <= 2; ++n) {
    auto& rep = sample_.rep("cdc", n);
    rep.files["lag.ndjson"].clear();
    rep.files["reads.ndjson"].clear();
  }
  EXPECT_THAT(VerdictText(Summary()), HasSubstr("cdc paid nothing beyond its response time"));
  sample_.rep("cdc", 2).rep["final"] = nullptr;
  const std::string text = VerdictText(Summary());
  EXPECT_THAT(text, HasSubstr("cdc paid a price that was not measured (the stores were not "
                              "compared)"));
  EXPECT_THAT(text, HasSubstr("keys inconsistent for a while: not measured, for good: not "
                              "measured"));
}

TEST_F(JudgementTest, TheVerdictBeginsWithWhatVoidsIt) {
  sample_.env["fdatasync_us"]["p50"] = 3.0;
  EXPECT_TRUE(VerdictText(Summary()).starts_with("VOID: a measured fdatasync of 3.0 us"));
}

}  // namespace
}  // namespace indoubt
