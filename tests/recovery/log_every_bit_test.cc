// Every single fault that a disk can add to a log of three small segments: each bit
// flipped, each file cut and zero-filled from each byte on. A start finds exactly what
// was acknowledged, or all but the whole last group where that looks like a torn tail,
// or refuses with file and offset. Nothing is sampled.
#include <algorithm>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/core.h>

#include "recovery/log_format.h"
#include "tests/recovery/log_fixture.h"

namespace indoubt {
namespace {

using Files = std::map<std::string, std::string>;  // contents by path

/// What a log says of everything that it was ever asked for.
struct Truth {
  std::vector<Decision> unended;
  std::vector<HeuristicRecord> heuristics;
  std::map<Gid, LoggedState> states;
  bool accepted = false;
  friend bool operator==(const Truth&, const Truth&) = default;
};

/// A record as inspect shows it, without the words.
using Shown = std::tuple<std::string, uint64_t, uint64_t, std::string, std::string>;

enum class Verdict { kWhole, kLastGroupLost, kRefused };

class LogEveryBitTest : public LogFixture {
 protected:
  LogEveryBitTest() { options_.segment_bytes = log_format::kMinSegmentBytes; }

  void SetUp() override {
    Open();
    asked_.push_back(NewGid());  // never decided
    while (segments_.size() < 3 || groups_in_segment_ < 2) DoSomething();
    // The last group spans sectors.
    const std::string token(200, 't');
    Note([&] { Decide({{"accounts", token}, {"stock", token}, {"ledger", token}}); });
    ASSERT_GE(groups_in_segment_, 3) << "it found no room";
    log_.reset();
    newest_ = segments_.rbegin()->first;
    ASSERT_EQ(disk_.Contents(newest_), segments_[newest_]) << "closing wrote nothing more";
    while (segments_.size() > 3) segments_.erase(segments_.begin());
    files_ = segments_;
    files_["log/lock"] = "12345";
    for (const InspectedRecord& record : Inspect(files_, kFolder)) {
      ASSERT_THAT(record.kind, testing::AnyOf("segment", "opened", "accepted", "commit", "end",
                                              "ended", "heuristic"));
      true_records_.insert(AsShown(record));
    }
    const std::string& bytes = files_[newest_];
    const size_t last = bytes.rfind("IDTG");
    const size_t before = bytes.rfind("IDTG", last - 1);
    uint32_t payload_bytes = 0;
    std::memcpy(&payload_bytes, bytes.data() + before + 4, sizeof payload_bytes);
    needed_ = before + log_format::kFrameBytes + payload_bytes;
    ASSERT_LT(needed_, last);
  }

  /// `write` writes one group. Notes what is true then, and the segment's bytes; of a
  /// segment that was dropped they stay as they were last.
  void Note(const std::function<void()>& write) {
    const std::string before = Segment();
    write();
    groups_in_segment_ = Segment() == before ? groups_in_segment_ + 1 : 1;
    segments_[Segment()] = disk_.Contents(Segment());
    before_last_ = std::exchange(truth_, TruthOf(*log_));
    // What is asked for later is unknown then.
    before_last_.states.emplace(asked_.back(), LoggedState::kUnknown);
    ++steps_;
  }

  void DoSomething() {
    Note([&, step = steps_] {
      const auto unended = log_->Unended();
      if (unended.size() > 2) {
        log_->End(unended[step % 2].gid);
        std::promise<Status> flushed;
        log_->FlushEnds([&](Status status) { flushed.set_value(std::move(status)); });
        EXPECT_TRUE(flushed.get_future().get().ok());
      } else if (step % 7 == 5) {
        EXPECT_TRUE(RecordHeuristic(asked_.back(), fmt::format("step {}", step)).ok());
      } else {
        Decide(Branches());
      }
    });
  }

  void Decide(const std::vector<BranchRecord>& branches) {
    asked_.push_back(NewGid());
    std::promise<DecisionOutcome> decided;
    log_->Decide(asked_.back(), DecisionOutcome::kCommitted, branches,
                 [&](DecisionOutcome outcome, const Status&) { decided.set_value(outcome); });
    EXPECT_EQ(decided.get_future().get(), DecisionOutcome::kCommitted);
  }

  Truth TruthOf(const DecisionLog& log) const {
    Truth truth{log.Unended(), log.Heuristics(), {}, log.accepted()};
    for (const Gid& gid : asked_) truth.states[gid] = log.Find(gid);
    return truth;
  }

  static FakeFileSystem& Put(FakeFileSystem& disk, const Files& files) {
    for (const auto& [path, contents] : files) disk.Put(path, contents);
    return disk;
  }

  /// What inspect shows of the folder, or of one segment.
  static std::vector<InspectedRecord> Inspect(const Files& files, const std::string& path) {
    FakeFileSystem disk;
    auto shown = InspectLog(Put(disk, files), path);
    EXPECT_TRUE(shown.has_value()) << shown.error().ToString();
    return shown.value_or(std::vector<InspectedRecord>());
  }
  static Shown AsShown(const InspectedRecord& record) {
    return {record.file, record.offset, record.sequence, record.kind, record.gid};
  }
  static bool Shows(const std::vector<InspectedRecord>& shown, const std::string& kind) {
    return std::any_of(shown.begin(), shown.end(),
                       [&](const InspectedRecord& each) { return each.kind == kind; });
  }

  /// Opens the damaged files and checks what the log then says, and that a refused one is
  /// left as it was.
  void Judge(const Files& damaged, Verdict& verdict) {
    FakeFileSystem disk;
    auto log = OpenFileLog(Put(disk, damaged), kFolder, options_);
    if (!log) {
      verdict = Verdict::kRefused;
      ASSERT_EQ(log.error().code(), StatusCode::kCorrupt) << log.error().ToString();
      ASSERT_THAT(log.error().message(), testing::HasSubstr("log/segment-"));
      ASSERT_THAT(log.error().message(), testing::HasSubstr("damaged at offset"));
      for (const auto& [path, contents] : damaged) ASSERT_EQ(disk.Contents(path), contents);
      ASSERT_EQ(disk.Paths().size(), damaged.size());
      return;
    }
    const Truth found = TruthOf(**log);
    verdict = found == truth_ ? Verdict::kWhole : Verdict::kLastGroupLost;
    if (verdict == Verdict::kLastGroupLost) {
      ASSERT_EQ(found, before_last_)
          << "neither what was acknowledged nor all but its last group";
    }
    ASSERT_EQ((*log)->id(), asked_.front().log);
    ASSERT_EQ((*log)->incarnation(), 2u);
  }

  /// Inspect of the damaged segment shows no record that was never written, and says what a
  /// start would do.
  void CheckInspect(const Files& damaged, const std::string& path, Verdict verdict,
                    bool must_be_shown) {
    const auto shown = Inspect(damaged, path);
    bool damage_is_shown = false;
    for (const InspectedRecord& record : shown) {
      const bool is_damage =
          record.kind == "damage" || record.kind == "repaired" || record.kind == "torn";
      damage_is_shown |= is_damage;
      ASSERT_TRUE(is_damage || true_records_.contains(AsShown(record)))
          << record.file << " " << record.offset << " " << record.kind << " " << record.gid;
    }
    ASSERT_TRUE(damage_is_shown || !must_be_shown);
    if (path != newest_) return;
    ASSERT_EQ(Shows(shown, "damage"), verdict == Verdict::kRefused);
    ASSERT_TRUE(verdict != Verdict::kLastGroupLost || Shows(shown, "torn"));
  }

  /// The log with `contents` in the place of one file: what a start and inspect make of it.
  Verdict Try(const std::string& path, std::string contents, bool must_be_shown) {
    Files damaged = files_;
    damaged[path] = std::move(contents);
    Verdict verdict{};
    Judge(damaged, verdict);
    if (path != kLock && !HasFatalFailure()) {
      CheckInspect(damaged, path, verdict, must_be_shown);
    }
    ++verdicts_[verdict];
    return verdict;
  }

  /// Every file shortened or zero-filled from each byte on.
  void LoseTheRestFromEachByte(const std::function<std::string(std::string, size_t)>& lose,
                               bool must_be_shown) {
    for (const auto& [path, contents] : files_) {
      for (size_t at = 0; at < contents.size(); ++at) {
        const std::string damaged = lose(contents, at);
        const Verdict verdict = Try(path, damaged, must_be_shown);
        ASSERT_FALSE(HasFailure()) << path << " from " << at;
        if (path != newest_) {
          ASSERT_EQ(verdict, Verdict::kWhole) << path << " is superseded";
        } else {
          const bool lost_more = damaged.compare(0, needed_, contents, 0, needed_) != 0;
          ASSERT_EQ(verdict == Verdict::kRefused, lost_more) << path << " from " << at;
        }
      }
    }
    EXPECT_GT(verdicts_[Verdict::kLastGroupLost], 0);
  }

  void PrintVerdicts(const char* what) {
    fmt::print("{}: {} starts found all, {} all but the last group, {} were refused\n", what,
               verdicts_[Verdict::kWhole], verdicts_[Verdict::kLastGroupLost],
               verdicts_[Verdict::kRefused]);
  }

  static constexpr const char* kLock = "log/lock";
  Files segments_;  // as they were last
  Files files_;     // three of them, and the lock
  std::string newest_;
  size_t needed_ = 0;  // end of the last but one group's payload: what no cut may take
  std::vector<Gid> asked_;
  Truth truth_;        // of all that was acknowledged
  Truth before_last_;  // before the last group
  size_t steps_ = 0;
  std::set<Shown> true_records_;
  int groups_in_segment_ = 0;
  std::map<Verdict, int> verdicts_;
};

TEST_F(LogEveryBitTest, FlippedBitIsRepairedOrRefusedAndAlwaysShown) {
  for (const auto& [path, contents] : files_) {
    for (size_t bit = 0; bit < contents.size() * 8; ++bit) {
      std::string flipped = contents;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
      const Verdict verdict = Try(path, flipped, true);
      ASSERT_FALSE(HasFailure()) << path << " byte " << bit / 8 << " bit " << bit % 8;
      ASSERT_TRUE(path == newest_ || verdict == Verdict::kWhole) << path << " is superseded";
    }
  }
  PrintVerdicts("every bit flipped");
  EXPECT_EQ(verdicts_[Verdict::kLastGroupLost], 0) << "a flipped bit is no torn write";
  EXPECT_GT(verdicts_[Verdict::kRefused], 0);
}

TEST_F(LogEveryBitTest, FileCutAtAnyByteLosesAtMostTheLastGroup) {
  LoseTheRestFromEachByte(
      [](const std::string& contents, size_t at) { return contents.substr(0, at); }, true);
  PrintVerdicts("cut at every byte");
}

TEST_F(LogEveryBitTest, FileZeroFilledFromAnyByteLosesAtMostTheLastGroup) {
  LoseTheRestFromEachByte(
      [](std::string contents, size_t at) {
        return contents.replace(at, std::string::npos, contents.size() - at, '\0');
      },
      false);
  PrintVerdicts("zero-filled from every byte");
}

}  // namespace
}  // namespace indoubt
