#include "tests/simulation/simulated_disk.h"

#include <algorithm>
#include <optional>

#include "recovery/log_format.h"
#include "recovery/log_reader.h"

namespace indoubt::simulation {
namespace {

Status Dead() { return Status(StatusCode::kIoError, "the process is dead"); }

/// The bytes of a file that a power cut would leave.
class DurableFile final : public File {
 public:
  DurableFile(std::string path, std::shared_ptr<const std::string> bytes)
      : path_(std::move(path)), bytes_(std::move(bytes)) {}

  Status WriteAt(uint64_t, std::string_view) override { return Dead(); }
  Result<std::string> ReadAt(uint64_t offset, size_t length) override {
    return offset < bytes_->size() ? bytes_->substr(offset, length) : std::string();
  }
  Status Sync() override { return Dead(); }
  Result<uint64_t> Size() override { return static_cast<uint64_t>(bytes_->size()); }
  Status Truncate(uint64_t) override { return Dead(); }
  const std::string& path() const override { return path_; }

 private:
  const std::string path_;
  const std::shared_ptr<const std::string> bytes_;
};

}  // namespace

class SimulatedFile final : public File {
 public:
  SimulatedFile(SimulatedDisk& disk, std::unique_ptr<File> file)
      : disk_(disk), file_(std::move(file)) {}

  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    return disk_.Do(DiskStep::kWrite, [&] { return file_->WriteAt(offset, bytes); });
  }
  Result<std::string> ReadAt(uint64_t offset, size_t length) override {
    return file_->ReadAt(offset, length);
  }
  Status Sync() override {
    return disk_.Do(DiskStep::kSync, [&] { return file_->Sync(); });
  }
  Result<uint64_t> Size() override { return file_->Size(); }
  Status Truncate(uint64_t size) override { return file_->Truncate(size); }
  const std::string& path() const override { return file_->path(); }

 private:
  SimulatedDisk& disk_;
  const std::unique_ptr<File> file_;
};

Status SimulatedDisk::Do(DiskStep step, const std::function<Status()>& operation) {
  if (!process_.Step(ToString(step))) return Dead();
  const DiskFate fate = fault_(step);
  if (fate == DiskFate::kFails) {
    disk_.SetFault([](FakeFileSystem::Operation, const std::string& path) {
      return Status(StatusCode::kIoError, path + ": simulated failure");
    });
  }
  Status status = operation();
  disk_.SetFault(nullptr);
  if (fate == DiskFate::kFailsThough && status.ok()) {
    status = Status(StatusCode::kIoError, "simulated failure, with an effect");
  }
  process_.trace().Add(status.ok() ? "disk" : "disk fails", ToString(step),
                       static_cast<uint64_t>(fate));
  if (step == DiskStep::kSync || step == DiskStep::kSyncDirectory) durable_changed_();
  return status;
}

Result<std::unique_ptr<File>> SimulatedDisk::Open(const std::string& path, OpenMode mode) {
  if (!process_.alive()) return Dead();
  std::unique_ptr<File> file;
  const auto open = [&]() -> Status {
    auto opened = disk_.Open(path, mode);
    if (opened) file = std::move(*opened);
    return opened.status();
  };
  // Reading changes nothing that anybody sees.
  const Status status = mode == OpenMode::kCreateNew ? Do(DiskStep::kCreate, open) : open();
  if (!file) return status.ok() ? Dead() : status;
  if (!status.ok()) return status;
  return std::unique_ptr<File>(std::make_unique<SimulatedFile>(*this, std::move(file)));
}

Result<std::vector<std::string>> SimulatedDisk::List(const std::string& directory) {
  return disk_.List(directory);
}

Status SimulatedDisk::CreateDirectory(const std::string& directory) {
  return process_.alive() ? disk_.CreateDirectory(directory) : Dead();
}

Status SimulatedDisk::SyncDirectory(const std::string& directory) {
  return Do(DiskStep::kSyncDirectory, [&] { return disk_.SyncDirectory(directory); });
}

Status SimulatedDisk::Remove(const std::string& path) {
  // An attempt to remove what is not there is no step.
  const std::vector<std::string> paths = disk_.Paths();
  if (std::find(paths.begin(), paths.end(), path) == paths.end()) return disk_.Remove(path);
  return Do(DiskStep::kRemove, [&] { return disk_.Remove(path); });
}

Status SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  return Do(DiskStep::kRename, [&] { return disk_.Rename(from, to); });
}

Result<std::unique_ptr<FileLock>> SimulatedDisk::Lock(const std::string& path) {
  if (!process_.alive()) return Dead();
  return disk_.Lock(path);
}

Result<LogState> ReadDurableLog(const FakeFileSystem& disk, const std::string& folder,
                                const Clock& clock, Duration retention) {
  LogState state(retention, clock);
  std::optional<uint64_t> newest;
  for (const std::string& path : disk.DurablePaths()) {
    const auto number = log_format::ParseSegmentName(path.substr(folder.size() + 1));
    if (number) newest = std::max(newest.value_or(0), *number);
  }
  if (!newest) return state;
  const std::string path = folder + "/" + log_format::SegmentName(*newest);
  DurableFile file(path, disk.DurableContents(path));
  INDOUBT_ASSIGN_OR_RETURN(SegmentReader reader, SegmentReader::Open(file, *newest));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(auto records, reader.Next());
    if (!records) return state;
    for (const log_format::RawRecord& raw : *records) {
      INDOUBT_ASSIGN_OR_RETURN(LogRecord record, DecodeLogRecord(raw.body));
      state.Apply(std::move(record), clock.Now());
    }
  }
}

}  // namespace indoubt::simulation
