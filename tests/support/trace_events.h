// A trace as a list of what matters for durability: bytes written to files, syncs of
// files and folders, renames and removals, bytes sent to and received from sockets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace indoubt::testing {

struct TraceEvent {
  enum class Kind { kWrite, kSync, kRename, kRemove, kSend, kReceive };
  Kind kind = Kind::kWrite;
  size_t began = 0, ended = 0;  // lines of the trace, as in TracedCall
  std::string thread;
  std::string path;     // of the file, or "socket:[INODE]"; of a rename: the new one
  std::string bytes;    // as many as the call took; of a rename: the old path
  uint64_t offset = 0;  // of pwrite64; 0 otherwise
};

/// In the order of their ends. What touches neither a file nor a socket is left out.
/// Trace with kFileCalls and kSocketCalls.
Result<std::vector<TraceEvent>> LoadTraceEvents(const std::string& trace_path);

}  // namespace indoubt::testing
