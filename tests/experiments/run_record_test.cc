// What a run.json that was changed by hand, or whose process is gone, is taken for.
#include "experiments/summary/run_record.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include "experiments/summary/records.h"
#include "tests/experiments/sample_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class RunRecordTest : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeSampleRun().Write(folder_.path());
    run_ = json::parse(ReadText(path()));
  }
  std::string path() const { return folder_.path() + "/run.json"; }
  /// What is said of the record with `value` in the place of `pointer`.
  std::string Said(const char* pointer, json value) const {
    json run = run_;
    run[json::json_pointer(pointer)] = std::move(value);
    return CheckRunRecord(run, "run.json").message();
  }
  void Write() const { std::ofstream(path()) << run_; }
  std::string StatusRead() const {
    const auto records = ReadRun(folder_.path());
    EXPECT_TRUE(records) << records.status().ToString();
    return records ? records->run.at("status").get<std::string>() : "";
  }

  TemporaryFolder folder_;
  json run_;
};

TEST_F(RunRecordTest, IsTakenAsTheProgramWritesIt) {
  EXPECT_EQ(CheckRunRecord(run_, path()).message(), "");
}

TEST_F(RunRecordTest, EachWrongFieldIsNamedWithWhatItIsAndHasToBe) {
  EXPECT_THAT(Said("/schema", 99),
              StartsWith("run.json: schema: is 99, must be a whole number from 1 to 1; it is "
                         "not as docs/run-format.md says"));
  EXPECT_THAT(Said("/repeat", -3),
              HasSubstr("repeat: is -3, must be a whole number from 1 to 1000"));
  EXPECT_THAT(Said("/seed", nullptr),
              HasSubstr("seed: is null, must be a whole number from 0"));
  EXPECT_THAT(Said("/seed", -1), HasSubstr("seed: is -1"));
  EXPECT_THAT(
      Said("/status", "fine"),
      HasSubstr("status: is \"fine\", must be one of running, done, interrupted, failed"));
  EXPECT_THAT(Said("/question", 7), HasSubstr("question: is 7, must be a string"));
  EXPECT_THAT(Said("/argv/1", 7), HasSubstr("argv[1]: is 7, must be a string"));
  EXPECT_THAT(Said("/cells", "none"), HasSubstr("cells: is \"none\", must be a list"));
  EXPECT_THAT(Said("/cells/1", 3), HasSubstr("cells[1]: is 3, must be an object"));
  EXPECT_THAT(Said("/cells/0/reps/0/n", 0), HasSubstr("cells[0].reps[0].n: is 0"));
  EXPECT_THAT(Said("/cells/0/reps/0/status", "running"),
              HasSubstr("cells[0].reps[0].status: is \"running\""));
  EXPECT_THAT(Said("/cells/0/reps/0/dir", "../other"),
              HasSubstr("cells[0].reps[0].dir: is \"../other\", must be cells/2pc/rep-1"));
  EXPECT_THAT(Said("/expect/0", json::object()), HasSubstr("expect[0].check: is missing"));
}

TEST_F(RunRecordTest, WhoReadsARunReadsNoneThatIsWrong) {
  run_["schema"] = 99;
  Write();
  const auto records = ReadRun(folder_.path());
  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code(), StatusCode::kCorrupt);
  EXPECT_THAT(records.error().message(), StartsWith(path() + ": schema: is 99"));
}

TEST_F(RunRecordTest, RunsOnlyWhileAProcessHoldsItsFolder) {
  run_["status"] = "running";
  Write();
  EXPECT_EQ(StatusRead(), "interrupted");
  const int fd = open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0) << "it was left locked by who looked";
  EXPECT_EQ(StatusRead(), "running");
  close(fd);
  EXPECT_EQ(StatusRead(), "interrupted");
  run_["status"] = "failed";
  Write();
  EXPECT_EQ(StatusRead(), "failed");
}

TEST_F(RunRecordTest, OnlyOneThatWasStoppedIsToBeResumed) {
  EXPECT_EQ(ResumeCommand("interrupted", "runs/a"), "indoubt run --resume runs/a");
  for (const char* status : {"done", "failed", "running"}) {
    EXPECT_EQ(ResumeCommand(status, "runs/a"), "") << status;
  }
}

}  // namespace
}  // namespace indoubt
