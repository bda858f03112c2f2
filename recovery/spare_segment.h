// The zeros of the next segment, written beside the commits: within a flush they would
// hold everybody up for as long as the disk takes for them.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "recovery/segment.h"

namespace indoubt {

/// Makes blank segments on a thread of its own, one at a time. Thread-safe.
class SpareSegment {
 public:
  /// Shorter ones are not worth a thread: their zeros take a few milliseconds.
  static constexpr uint64_t kWorthwhileBytes = 4u << 20;

  /// `files` must outlive it.
  SpareSegment(FileSystem& files, std::string folder);
  /// Waits for one that is being made, and removes it unless it was taken.
  ~SpareSegment();
  SpareSegment(const SpareSegment&) = delete;
  SpareSegment& operator=(const SpareSegment&) = delete;

  /// Begins to make one of `size` bytes, unless one is there or under way, or it is too
  /// short to be worthwhile, or the last try failed: on a disk without room each would
  /// write all that is left there and remove it again.
  void Want(uint64_t size);
  /// The one that is there, after waiting for one that is under way. An empty one when
  /// there is none, or its making failed: then whoever needs a segment makes it, and
  /// meets the same error.
  BlankSegment Take();

 private:
  void Run();
  void Remove();

  FileSystem& files_;
  const std::string folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<uint64_t> wanted_;  // guarded by mutex_; under way until none
  BlankSegment spare_;              // guarded by mutex_
  bool failed_ = false;             // guarded by mutex_; until Take
  bool stopping_ = false;           // guarded by mutex_
  std::thread maker_;               // started by the first Want
};

}  // namespace indoubt
