// The folder of a log: taking it over at open, and what opening and rotation share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "recovery/file_log.h"
#include "recovery/log_state.h"
#include "recovery/segment.h"

namespace indoubt {

/// A log that this process owns, read and ready for new records.
struct OpenedFolder {
  std::string path;
  std::unique_ptr<FileLock> lock;
  LogState state;
  std::unique_ptr<SegmentWriter> writer;
};

/// Locks the folder, reads its newest segment, and moves everything into a fresh
/// synced one with the next incarnation. Errors as OpenFileLog.
Result<OpenedFolder> OpenLogFolder(FileSystem& files, const std::string& path,
                                   const FileLogOptions& options);

/// kInvalidArgument when a node of another name than `node` has opened this log last.
/// `opened_by`: as LogState::node.
Status RequireNode(const std::string& folder, const std::string& opened_by,
                   const std::string& node);

/// Numbers of the segments in `folder`, ascending.
Result<std::vector<uint64_t>> ListSegments(FileSystem& files, const std::string& folder);

/// The records that a fresh segment begins with.
std::vector<std::string> CarriedRecords(LogState& state, uint32_t incarnation,
                                        const FileLogOptions& options);

/// The header of the segment after `writer`'s; its size is for the caller to set.
log_format::SegmentHeader Successor(const SegmentWriter& writer);

/// Removes segments whose records live on in a durable later one.
Status DropSegments(FileSystem& files, const std::string& folder,
                    const std::vector<uint64_t>& numbers);

}  // namespace indoubt
