// What a disk would hold after a power cut, from a system call trace: the files of
// a process as its writes and syncs left them, down to the last synced byte.
#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/strace_trace.h"

namespace indoubt::testing {

/// Files below one folder, replayed from what they held before and a trace. A sync
/// makes durable what was written before it began. Directory entries are taken as
/// durable (the simulated disk of the log's own tests forgets those too).
class DurableFiles {
 public:
  /// Reads the present content of every file below `folder` as durable, but for
  /// those below its subfolder `skipped`.
  DurableFiles(std::string folder, const std::string& skipped);

  /// Replays a finished trace. kInvalidArgument for a line that it does not
  /// understand and that concerns the folder.
  Status Replay(const std::string& trace_path);

  /// Writes that no sync covers, in bytes; 0 for a file that it does not know.
  size_t UnsyncedBytes(const std::string& path) const;
  /// Syncs of files whose path ends with `suffix`.
  int Syncs(const std::string& suffix) const;
  /// All unsynced writes of all files, for the test's closing figures.
  size_t UnsyncedWrites() const;

  enum class Tail { kDropped, kTorn };
  /// Writes the files back as a power cut leaves them: kDropped keeps only synced
  /// bytes; kTorn keeps of the unsynced writes a random prefix, the last one torn.
  void Restore(Tail tail, std::mt19937_64& random) const;

 private:
  struct Write {
    uint64_t offset = 0;
    std::string bytes;
    bool truncate = false;  // sets the length to `offset` instead
    size_t ended = 0;       // line of the trace
  };
  struct FileState {
    std::string durable;
    std::string current;
    std::vector<Write> pending;  // since the last sync
    bool removed = false;
  };
  static void Apply(const Write& write, std::string& content);
  void Record(FileState& file, Write write);
  static void Sync(FileState& file, const TracedCall& call);
  void ReplayOpen(const TracedCall& call);
  void ReplayName(const TracedCall& call);
  Status ReplayCall(const std::string& path, FileState& file, const TracedCall& call);

  const std::string folder_;
  std::map<std::string, FileState> files_;
  std::map<std::string, int> syncs_;
};

}  // namespace indoubt::testing
