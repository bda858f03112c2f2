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

TEST_F(JudgementTest, WhereNothingWasDueNothingPassesAndNothingIsPraised) {
  for (int n = 1; n <= 2; ++n) {
    auto& operations = sample_.rep("cdc", n).files["ops.ndjson"];
    for (json& operation : operations) operation["phase"] = "warmup";
  }
  const json summary = Summary();
  EXPECT_EQ(summary.at("expect").at(2).at("verdict"), "no_data") << "cdc.lag_ms.max > 10000";
  EXPECT_EQ(summary.at("expect").at(2).at("reason"),
            "cdc is not measured: no operation was due in repetition 1");
  EXPECT_EQ(Judge(summary).exit_code(), 12);
  const std::string text = VerdictText(summary);
  EXPECT_THAT(text, HasSubstr("; cdc is not measured: no operation was due in repetition 1;"));
  EXPECT_THAT(text, Not(HasSubstr("cdc paid")));
}

TEST_F(JudgementTest, ACellThatTheFaultDoesNotApplyToIsNeverGreen) {
  sample_.rep("2pc").rep["not_applicable"] = "it has no process of its own";
  const json summary = Summary();
  const json& expect = summary.at("expect").at(0);
  EXPECT_EQ(expect.at("check"), "2pc.inconsistent.permanent == 0");
  EXPECT_EQ(expect.at("verdict"), "no_data");
  EXPECT_EQ(expect.at("reason"),
            "2pc is n/a: the fault does not apply: it has no process of its own");
  EXPECT_EQ(summary.at("expect").at(4).at("verdict"), "no_data") << "a ratio of its figure";
  EXPECT_EQ(Judge(summary).exit_code(), 12);
  EXPECT_TRUE(VerdictText(summary).starts_with("2pc is n/a: the fault does not apply: it has"));
}

TEST_F(JudgementTest, ATransactionBesideTheSlotIsNamedWithWhatItKept) {
  auto& rep = sample_.rep("cdc");
  rep.files["slot.ndjson"] = {json{{"t_ns", 2 * kSecond},
                                   {"restart_lsn", "0/1"},
                                   {"retained_bytes", 3 << 20},
                                   {"unconfirmed_bytes", 0},
                                   {"prepared", 1}},
                              json{{"t_ns", 9 * kSecond},
                                   {"restart_lsn", "0/1"},
                                   {"retained_bytes", 512},
                                   {"unconfirmed_bytes", 0},
                                   {"prepared", 0}}};
  rep.files["slot_waits.ndjson"] = {
      json{{"started_ns", 2 * kSecond}, {"ended_ns", 10 * kSecond}}};
  rep.rep["faults"][0]["kind"] = "in-doubt";
  const std::string text = VerdictText(Summary());
  EXPECT_THAT(text, HasSubstr("cdc paid up to 3.0 MiB of log kept at its source for the slot, "
                              "and a wait of up to 8.0 s for whoever made another slot, and "
                              "data stale for up to"));
  EXPECT_THAT(text, HasSubstr("longest in doubt: the path prepares nothing; another program's "
                              "transaction was for 9.9 s"));
  EXPECT_THAT(text, HasSubstr("log that its source kept for the slot: at most 3.0 MiB, at the "
                              "end 0.5 KiB; longest wait for another slot: 8.0 s"));
}

TEST_F(JudgementTest, ReadsWithAndWithoutATokenAreNamedWithHowManyWereWrong) {
  const auto read = [](const char* kind, bool with, json stock, json ledger) {
    return json{{"t_ns", 1},
                {"kind", kind},
                {"order", 7},
                {"with", with},
                {"lsn", nullptr},
                {"waited_ms", nullptr},
                {"stock", std::move(stock)},
                {"ledger", std::move(ledger)}};
  };
  sample_.rep("cdc").files["token_reads.ndjson"] = {
      read("own", false, false, nullptr), read("own", false, true, nullptr),
      read("own", true, true, nullptr), read("pair", false, true, false)};
  for (int n = 1; n <= 2; ++n) sample_.rep("cdc", n).files["lag.ndjson"].clear();
  const std::string text = VerdictText(Summary());
  EXPECT_THAT(text,
              HasSubstr("cdc paid stale reads of one's own write: 1 of 2 (with its token: "
                        "0 of 1), and fractured reads of both derived stores: 1 of 1 (at "
                        "one cut: not measured)"));
}

TEST_F(JudgementTest, TheVerdictBeginsWithWhatVoidsIt) {
  sample_.env["fdatasync_us"]["p50"] = 3.0;
  EXPECT_TRUE(VerdictText(Summary()).starts_with("VOID: a measured fdatasync of 3.0 us"));
}

}  // namespace
}  // namespace indoubt
