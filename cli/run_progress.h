// What `indoubt run` shows on stderr while it runs.
#pragma once

#include <optional>
#include <string>

#include "experiments/progress_rate.h"
#include "experiments/run.h"

namespace indoubt::cli {

/// "[  12s] 3/18 2pc rep 1 of 3: measure, 1200 committed, 98/s, 3 in flight, 2 in doubt (oldest
/// 3.1 s), 4 waiting, lag 120 ms, coordinator killed". Without what is not known or nothing.
std::string ProgressText(const RunProgress& progress, std::optional<double> rate_per_s);

/// On a terminal one line that is written anew several times a second, and stays when a
/// phase ends or something happens; else a line every five seconds and at these moments.
/// Use from one thread.
class ProgressLines {
 public:
  /// `width`: the terminal's columns; none: not a terminal, or NO_COLOR.
  ProgressLines(bool quiet, std::optional<size_t> width) : quiet_(quiet), width_(width) {}
  void operator()(const RunProgress& progress);

 private:
  bool quiet_;
  std::optional<size_t> width_;
  double last_ = -1e9;  // when a line was written, seconds since the run began
  std::string phase_;
  ProgressRate rate_;
};

/// The columns of the terminal on stderr; none where lines must not be written over.
std::optional<size_t> TerminalWidth();

}  // namespace indoubt::cli
