// The disk under the simulated coordinator's log: the fake one of tests/support, with a
// step of the process before each operation, and what would survive a power cut.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "recovery/log_state.h"
#include "tests/simulation/process.h"
#include "tests/support/fake_file_system.h"

namespace indoubt::simulation {

/// One process' view of the disk; after its death nothing it does has an effect.
class SimulatedDisk final : public FileSystem {
 public:
  using Fault = std::function<DiskFate(DiskStep)>;

  /// `durable_changed` is called whenever something became durable. All must outlive it.
  SimulatedDisk(FakeFileSystem& disk, Process& process, Fault fault,
                std::function<void()> durable_changed)
      : disk_(disk),
        process_(process),
        fault_(std::move(fault)),
        durable_changed_(std::move(durable_changed)) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status CreateDirectory(const std::string& directory) override;
  Status SyncDirectory(const std::string& directory) override;
  Status Remove(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

 private:
  friend class SimulatedFile;
  /// Does `operation` (of the fake disk) as the process lives and as nature has it.
  Status Do(DiskStep step, const std::function<Status()>& operation);

  FakeFileSystem& disk_;
  Process& process_;
  const Fault fault_;
  const std::function<void()> durable_changed_;
};

/// The state that a log in `folder` would be read as if the power were cut now and
/// nothing survived that was not synced; kCorrupt when it could not be.
Result<LogState> ReadDurableLog(const FakeFileSystem& disk, const std::string& folder,
                                const Clock& clock, Duration retention);

}  // namespace indoubt::simulation
