// The segment that the log appends to: zero-written ahead, so that a sync has no
// file size to write.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "recovery/log_format.h"

namespace indoubt {

/// Not thread-safe. After an error it must not be used again.
class SegmentWriter {
 public:
  /// Makes the file, writes header and `checkpoint` (a whole group) and syncs file
  /// and folder: on Ok it is durable.
  static Result<std::unique_ptr<SegmentWriter>> Create(FileSystem& files,
                                                       const std::string& folder,
                                                       const SegmentHeader& header,
                                                       const std::string& checkpoint);

  /// Writes a group behind the last one; durable with the next Sync.
  Status Append(const std::string& group);
  Status Sync() { return file_->Sync(); }

  uint64_t number() const { return number_; }
  uint64_t size() const { return end_; }

 private:
  SegmentWriter(std::unique_ptr<File> file, uint64_t number)
      : file_(std::move(file)), number_(number) {}
  Status MakeRoom(uint64_t until);

  std::unique_ptr<File> file_;
  uint64_t number_;
  uint64_t end_ = 0;       // behind the last byte written
  uint64_t prepared_ = 0;  // zero-written up to here
};

}  // namespace indoubt
