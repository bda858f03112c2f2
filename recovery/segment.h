// The segment that is being written.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "recovery/log_format.h"

namespace indoubt {

/// A file of zeros under the name of an unfinished segment. There is one at a time.
struct BlankSegment {
  std::unique_ptr<File> file;
  uint64_t size = 0;
};
/// Makes one. Zeros are written, not only allocated: then a commit's sync has no metadata
/// of the file to write, and an unwritten byte is known to read as zero. With `synced`
/// they are synced piece by piece, so that a sync of another file beside it never waits
/// for all of them. After an error the file may be there.
Result<BlankSegment> MakeBlankSegment(FileSystem& files, const std::string& folder,
                                      uint64_t size, bool synced);

/// The bodies of some records, which somebody else keeps.
using LogBodies = std::span<const std::string>;

/// Appends groups to one segment file. Thread-compatible.
class SegmentWriter {
 public:
  /// Makes the segment `header.number` in `folder` with `carried` as its first
  /// records, the checkpoint: zero-filled, written and synced under another name, then
  /// renamed, and the folder synced. `header.size` grows by what was carried and
  /// `carried_end` is set. A `blank` that was made before saves the zeros, if it has room
  /// for as much again as is carried; its size then counts. After an error the log must stop;
  /// the unfinished file is removed, so that a full disk is not kept full.
  static Result<std::unique_ptr<SegmentWriter>> Create(FileSystem& files,
                                                       const std::string& folder,
                                                       log_format::SegmentHeader header,
                                                       LogBodies carried,
                                                       BlankSegment blank = {});

  bool HasRoom(uint64_t payload_bytes) const;
  /// Writes a group of records and its mark; the caller syncs before the next Append.
  Status Append(LogBodies bodies);
  Status Sync() { return file_->Sync(); }

  const log_format::SegmentHeader& header() const { return header_; }
  uint64_t end() const { return end_; }
  uint64_t next_sequence() const { return next_sequence_; }

 private:
  SegmentWriter(std::unique_ptr<File> file, log_format::SegmentHeader header)
      : file_(std::move(file)),
        header_(std::move(header)),
        end_(log_format::kGroupsStart),
        next_sequence_(header_.first_sequence) {}
  Status Fill(const std::vector<LogBodies>& groups);
  Status WriteHeader();
  /// Writes a group without its mark; returns the mark.
  Result<std::string> WriteGroup(LogBodies bodies);

  std::unique_ptr<File> file_;
  log_format::SegmentHeader header_;
  uint64_t end_;
  uint64_t next_sequence_;
  size_t next_mark_ = 0;  // which of kMarksAt; the other one keeps the last group's
};

/// Bytes that records with these bodies take in a group's payload.
uint64_t PayloadBytes(LogBodies bodies);

}  // namespace indoubt
