// What a page that is opened late, or anew, has to be told to show the same as one that
// listened from the beginning. Bounded, however long the run is.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

namespace indoubt {

/// Keeps of the last four cells their last repetition, thinned out to 400 samples, and the
/// last 100 happenings. Thread-compatible.
class LiveHistory {
 public:
  /// What is true of the whole run; told first.
  void SetRun(std::string event) { run_ = std::move(event); }
  void AddSample(const std::string& cell, int rep, std::string event);
  void AddHappening(std::string event);
  /// All of it as events, in an order in which they could have come.
  std::string Text() const;

 private:
  struct Cell {
    std::string name;
    int rep = 0;
    size_t stride = 1;   // of so many samples one is kept
    size_t skipped = 0;  // since the last one kept
    std::vector<std::string> samples;
  };
  Cell& CellFor(const std::string& name, int rep);

  std::string run_;
  std::deque<Cell> cells_;  // the one under way is the last
  std::deque<std::string> happenings_;
  std::string newest_;  // sample, whether kept or not
};

}  // namespace indoubt
