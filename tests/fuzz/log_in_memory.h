// A log of one segment on a disk in memory, opened as a coordinator opens it.
#pragma once

#include <memory>
#include <string>

#include "base/check.h"
#include "recovery/file_log.h"
#include "recovery/log_format.h"
#include "tests/support/fake_file_system.h"

namespace indoubt::fuzz {

inline const std::string kFolder = "log";
inline constexpr uint64_t kSmallestSegment = 64 << 10;

inline void WriteSegment(FakeFileSystem& disk, uint64_t number, const std::string& bytes) {
  const std::string path = kFolder + "/" + log_format::SegmentName(number);
  INDOUBT_CHECK(disk.CreateDirectory(kFolder).ok(), "a disk in memory takes a folder");
  const auto file = disk.Open(path, OpenMode::kCreateNew);
  INDOUBT_CHECK(file && (*file)->WriteAt(0, bytes).ok() && (*file)->Sync().ok() &&
                    disk.SyncDirectory(kFolder).ok(),
                "a disk in memory takes a file");
}

inline Result<std::unique_ptr<DecisionLog>> Open(FakeFileSystem& disk) {
  FileLogOptions options;
  options.node = "fuzz";
  options.segment_bytes = kSmallestSegment;
  return OpenFileLog(disk, kFolder, options);
}

/// Opens what is there; what it holds must be the same when it is opened once more, since
/// opening moves everything into a fresh segment. Refusing is as good, with a clear error
/// and every file left as it was.
inline void OpenTwice(FakeFileSystem& disk, uint64_t number) {
  const std::string path = kFolder + "/" + log_format::SegmentName(number);
  const std::string before = disk.Contents(path);
  auto log = Open(disk);
  if (!log) {
    INDOUBT_CHECK(log.error().code() == StatusCode::kCorrupt ||
                      log.error().code() == StatusCode::kRefused,
                  log.error().ToString());
    INDOUBT_CHECK(disk.Contents(path) == before, "a refused log stays as it was");
    return;
  }
  const auto unended = (*log)->Unended();
  const auto heuristics = (*log)->Heuristics();
  const uint32_t incarnation = (*log)->incarnation();
  log->reset();
  disk.KillProcess();
  log = Open(disk);
  INDOUBT_CHECK(log.has_value() || log.error().code() == StatusCode::kRefused,
                "what was opened opens again: " + log.status().ToString());
  if (!log) return;
  INDOUBT_CHECK((*log)->Unended() == unended, "no commit is lost or made by opening");
  INDOUBT_CHECK((*log)->Heuristics() == heuristics, "nor a heuristic outcome");
  INDOUBT_CHECK((*log)->incarnation() == incarnation + 1, "each opening is an incarnation");
}

}  // namespace indoubt::fuzz
