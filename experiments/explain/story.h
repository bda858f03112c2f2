// One transaction's story, put together from the raw records of the run it was part of.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace indoubt {

/// Something that happened, in words.
struct StoryLine {
  std::optional<double> at_ms;  // since the transaction's start; none: at no known time
  std::string text;
};

struct Story {
  std::string gid, cell;
  int repetition = 0;
  std::vector<StoryLine> lines;  // in the order of time, then those without one
};

/// Tells what the run in `run_folder` recorded of `gid`: the operation and its answer,
/// each store's vote and acknowledgement, when an outside observer saw the branch
/// prepared, the faults that acted meanwhile, who waited for its keys, what readers saw,
/// what the coordinator's log holds of it and what the final comparison found. What was
/// not recorded is said, not guessed. kNotFound says what there is instead: runs beside a
/// folder that is none, gids of a run without this one; kCorrupt names file and line.
Result<Story> TellStory(const std::string& run_folder, const std::string& gid);

/// One line each, times in milliseconds before it.
std::string StoryText(const Story& story);

}  // namespace indoubt
