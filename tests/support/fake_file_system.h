// A disk in memory that behaves as badly as a real one may: what was not synced
// may be kept, lost or torn by a power cut, sector by sector; names that were not
// synced vanish; reads after a failed sync show what never reached the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"

namespace indoubt {

/// Thread-safe. Directories are only names; paths are "folder/name".
class FakeFileSystem final : public FileSystem {
 public:
  FakeFileSystem();
  ~FakeFileSystem() override;

  // --- What can go wrong -------------------------------------------------------

  /// What a power cut does to each unsynced 512-byte sector (and name).
  enum class Unsynced { kLost, kKept, kRandom };
  /// Cuts the power: every open file and lock is dead from now on, and the disk
  /// holds only what was synced plus what `unsynced` says of the rest. kRandom
  /// tears within the write order: any subset of sectors survives.
  void CutPower(Unsynced unsynced, uint64_t seed = 1);
  /// The process died, the machine did not: locks go, the page cache stays.
  void KillProcess();

  enum class Operation { kWrite, kSync, kCreate, kRename, kRemove, kSyncDirectory };
  using Fault = std::function<Status(Operation, const std::string& path)>;
  /// Asked before each operation; an error makes it fail. A failed write stores
  /// the first half; after a failed sync the cache keeps showing the bytes,
  /// counted as clean, that never reached the disk.
  void SetFault(Fault fault);

  // --- What a test looks at ------------------------------------------------------

  std::vector<std::string> Paths() const;
  std::string Contents(const std::string& path) const;
  /// Changes bytes behind everybody's back, durably.
  void Overwrite(const std::string& path, uint64_t offset, const std::string& bytes);
  /// Puts a file there, durably.
  void Put(const std::string& path, const std::string& contents);
  void Resize(const std::string& path, uint64_t size);
  int syncs() const;
  /// What a power cut would leave if nothing unsynced survived.
  std::vector<std::string> DurablePaths() const;
  /// Null when there is no such file; not to be read beside a writer.
  std::shared_ptr<const std::string> DurableContents(const std::string& path) const;
  /// Whether a power cut may lose anything.
  bool HasUnsynced() const;
  uint64_t bytes_read() const;

  // --- FileSystem -----------------------------------------------------------------

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status CreateDirectory(const std::string& directory) override;
  Status SyncDirectory(const std::string& directory) override;
  Status Remove(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

 private:
  friend class FakeFile;
  friend class FakeLock;
  struct Inode {
    std::string cached;        // what reads see
    std::string durable;       // what survives a power cut
    std::set<uint64_t> dirty;  // sectors that the next sync writes
    bool lost = false;         // a sync failed: the cache shows what never gets there
  };
  using InodePointer = std::shared_ptr<Inode>;  // shared by names and open files

  Status Ask(Operation operation, const std::string& path);
  static void SettleSector(Inode& inode, uint64_t sector);

  mutable std::mutex mutex_;  // guards everything below
  Fault fault_;
  uint64_t boot_ = 0;  // files opened before the last cut are dead
  int syncs_ = 0;
  uint64_t bytes_read_ = 0;
  std::map<std::string, InodePointer> names_;          // what lookups see
  std::map<std::string, InodePointer> durable_names_;  // what survives a power cut
  std::set<std::string> locked_;
};

}  // namespace indoubt
