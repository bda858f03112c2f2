#include "tests/support/fake_file_system.h"

#include <algorithm>

#include <fmt/format.h>

namespace indoubt {
namespace {

constexpr uint64_t kSector = 512;

Status DeadFile(const std::string& path) {
  return Status(StatusCode::kIoError, path + ": was opened before the power was cut");
}
Status NoSuchFile(const std::string& path) {
  return Status(StatusCode::kNotFound, path + ": no such file");
}
std::string FolderOf(const std::string& path) { return path.substr(0, path.find_last_of('/')); }

}  // namespace

class FakeFile final : public File {
 public:
  FakeFile(FakeFileSystem& disk, std::string path, FakeFileSystem::InodePointer inode)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)), boot_(disk.boot_) {}

  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    if (boot_ != disk_.boot_) return DeadFile(path_);
    Status asked = disk_.Ask(FakeFileSystem::Operation::kWrite, path_);
    if (!asked.ok()) bytes = bytes.substr(0, bytes.size() / 2);
    std::string& cached = inode_->cached;
    if (cached.size() < offset + bytes.size()) cached.resize(offset + bytes.size(), '\0');
    cached.replace(offset, bytes.size(), bytes);
    for (uint64_t s = offset / kSector; s * kSector < offset + bytes.size(); ++s) {
      inode_->dirty.insert(s);
    }
    return asked;
  }

  Result<std::string> ReadAt(uint64_t offset, size_t length) override {
    const std::lock_guard lock(disk_.mutex_);
    if (boot_ != disk_.boot_) return DeadFile(path_);
    if (offset >= inode_->cached.size()) return std::string();
    std::string bytes = inode_->cached.substr(offset, length);
    disk_.bytes_read_ += bytes.size();
    return bytes;
  }

  Status Sync() override {
    const std::lock_guard lock(disk_.mutex_);
    if (boot_ != disk_.boot_) return DeadFile(path_);
    ++disk_.syncs_;
    const Status asked = disk_.Ask(FakeFileSystem::Operation::kSync, path_);
    if (asked.ok()) {
      for (const uint64_t sector : inode_->dirty) FakeFileSystem::SettleSector(*inode_, sector);
    }
    if (!asked.ok() && !inode_->dirty.empty()) inode_->lost = true;
    inode_->dirty.clear();  // after a failure too: Linux marks the pages clean
    return asked;
  }

  Result<uint64_t> Size() override {
    const std::lock_guard lock(disk_.mutex_);
    return static_cast<uint64_t>(inode_->cached.size());
  }
  Status Truncate(uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    inode_->cached.resize(size, '\0');
    return Status::Ok();
  }
  const std::string& path() const override { return path_; }

 private:
  FakeFileSystem& disk_;
  const std::string path_;
  const FakeFileSystem::InodePointer inode_;
  const uint64_t boot_;
};

class FakeLock final : public FileLock {
 public:
  FakeLock(FakeFileSystem& disk, std::string path)
      : disk_(disk), path_(std::move(path)), boot_(disk.boot_) {}
  ~FakeLock() override {
    const std::lock_guard lock(disk_.mutex_);
    if (boot_ == disk_.boot_) disk_.locked_.erase(path_);
  }

 private:
  FakeFileSystem& disk_;
  const std::string path_;
  const uint64_t boot_;
};

FakeFileSystem::FakeFileSystem() = default;
FakeFileSystem::~FakeFileSystem() = default;

void FakeFileSystem::SettleSector(Inode& inode, uint64_t sector) {
  const uint64_t begin = sector * kSector;
  if (begin >= inode.cached.size()) return;
  const size_t length = std::min<size_t>(kSector, inode.cached.size() - begin);
  if (inode.durable.size() < begin + length) inode.durable.resize(begin + length, '\0');
  inode.durable.replace(begin, length, inode.cached, begin, length);
}

void FakeFileSystem::CutPower(Unsynced unsynced, uint64_t seed) {
  const std::lock_guard lock(mutex_);
  std::mt19937_64 random(seed);
  const auto kept = [&] {
    return unsynced == Unsynced::kKept || (unsynced == Unsynced::kRandom && random() % 2 == 0);
  };
  // Each change of a name that was not synced happens or not. A rename is one
  // change in a journal; here the new name may appear while the old one stays.
  auto names = durable_names_;
  for (const auto& [path, inode] : names_) {
    if (kept()) names[path] = inode;
  }
  for (const auto& [path, inode] : durable_names_) {
    if (names_.count(path) == 0 && kept()) names.erase(path);
  }
  for (const auto& [path, inode] : names) {
    for (const uint64_t sector : inode->dirty) {
      if (kept()) SettleSector(*inode, sector);
    }
    inode->dirty.clear();
    inode->lost = false;
    if (inode->cached != inode->durable) inode->cached = inode->durable;
  }
  names_ = durable_names_ = std::move(names);
  locked_.clear();
  fault_ = nullptr;
  ++boot_;
}

void FakeFileSystem::KillProcess() {
  const std::lock_guard lock(mutex_);
  locked_.clear();
  fault_ = nullptr;
  ++boot_;
}

void FakeFileSystem::SetFault(Fault fault) {
  const std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

Status FakeFileSystem::Ask(Operation operation, const std::string& path) {
  return fault_ ? fault_(operation, path) : Status::Ok();
}

std::vector<std::string> FakeFileSystem::Paths() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [path, inode] : names_) paths.push_back(path);
  return paths;
}

std::string FakeFileSystem::Contents(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto it = names_.find(path);
  return it == names_.end() ? std::string() : it->second->cached;
}

void FakeFileSystem::Overwrite(const std::string& path, uint64_t offset,
                               const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  Inode& inode = *names_.at(path);
  inode.cached.replace(offset, bytes.size(), bytes);
  inode.durable = inode.cached;
}

void FakeFileSystem::Put(const std::string& path, const std::string& contents) {
  const std::lock_guard lock(mutex_);
  names_[path] = durable_names_[path] = std::make_shared<Inode>(Inode{contents, contents, {}});
}

void FakeFileSystem::Resize(const std::string& path, uint64_t size) {
  const std::lock_guard lock(mutex_);
  Inode& inode = *names_.at(path);
  inode.cached.resize(size, '\0');
  inode.durable = inode.cached;
}

int FakeFileSystem::syncs() const {
  const std::lock_guard lock(mutex_);
  return syncs_;
}

std::vector<std::string> FakeFileSystem::DurablePaths() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [path, inode] : durable_names_) paths.push_back(path);
  return paths;
}

std::shared_ptr<const std::string> FakeFileSystem::DurableContents(
    const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto it = durable_names_.find(path);
  if (it == durable_names_.end()) return nullptr;
  return {it->second, &it->second->durable};
}

bool FakeFileSystem::HasUnsynced() const {
  const std::lock_guard lock(mutex_);
  if (names_ != durable_names_) return true;
  for (const auto& [path, inode] : names_) {
    if (!inode->dirty.empty() || inode->lost) return true;
  }
  return false;
}

uint64_t FakeFileSystem::bytes_read() const {
  const std::lock_guard lock(mutex_);
  return bytes_read_;
}

Result<std::unique_ptr<File>> FakeFileSystem::Open(const std::string& path, OpenMode mode) {
  const std::lock_guard lock(mutex_);
  auto it = names_.find(path);
  if (mode == OpenMode::kCreateNew) {
    if (it != names_.end()) return Status(StatusCode::kIoError, path + ": exists");
    INDOUBT_RETURN_IF_ERROR(Ask(Operation::kCreate, path));
    it = names_.emplace(path, std::make_shared<Inode>()).first;
  }
  if (it == names_.end()) return NoSuchFile(path);
  return std::unique_ptr<File>(std::make_unique<FakeFile>(*this, path, it->second));
}

Result<std::vector<std::string>> FakeFileSystem::List(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> found;
  for (const auto& [path, inode] : names_) {
    if (FolderOf(path) == directory) found.push_back(path.substr(directory.size() + 1));
  }
  return found;
}

Status FakeFileSystem::CreateDirectory(const std::string&) { return Status::Ok(); }

Status FakeFileSystem::SyncDirectory(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  INDOUBT_RETURN_IF_ERROR(Ask(Operation::kSyncDirectory, directory));
  std::erase_if(durable_names_, [&](const auto& e) { return FolderOf(e.first) == directory; });
  for (const auto& [path, inode] : names_) {
    if (FolderOf(path) == directory) durable_names_[path] = inode;
  }
  return Status::Ok();
}

Status FakeFileSystem::Remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  INDOUBT_RETURN_IF_ERROR(Ask(Operation::kRemove, path));
  return names_.erase(path) > 0 ? Status::Ok() : NoSuchFile(path);
}

Status FakeFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  INDOUBT_RETURN_IF_ERROR(Ask(Operation::kRename, from));
  const auto it = names_.find(from);
  if (it == names_.end()) return NoSuchFile(from);
  const InodePointer inode = it->second;
  names_.erase(it);
  names_[to] = inode;
  return Status::Ok();
}

Result<std::unique_ptr<FileLock>> FakeFileSystem::Lock(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!locked_.insert(path).second) {
    return Status(StatusCode::kLocked, path + " is held by process 1");
  }
  return std::unique_ptr<FileLock>(std::make_unique<FakeLock>(*this, path));
}

}  // namespace indoubt
