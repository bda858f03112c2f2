// A disk in memory that forgets: only what was synced survives PowerCut(), files
// whose directory entry was not synced vanish, and writes and syncs fail on demand.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"

namespace indoubt::testing {

/// Thread-safe.
class FakeFileSystem final : public FileSystem {
 public:
  enum class Tail { kDropped, kKept, kTorn };

  /// Forgets what was not synced: drops it, keeps it (lucky), or keeps a random
  /// part of each unsynced write. Open files and locks of before must be gone.
  void PowerCut(Tail tail, std::mt19937_64& random) {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::shared_ptr<Content>> kept;
    for (auto& [path, content] : entries_) {
      if (!durable_entries_.contains(path) && tail == Tail::kDropped) continue;
      Content after;
      after.durable = content->durable;
      for (const auto& [offset, bytes] : content->pending) {
        if (tail == Tail::kDropped) break;
        const size_t length =
            tail == Tail::kKept ? bytes.size() : random() % (bytes.size() + 1);
        Put(after.durable, offset, std::string_view(bytes).substr(0, length));
      }
      after.current = after.durable;
      kept[path] = std::make_shared<Content>(std::move(after));
    }
    // A removal that was not synced may be undone.
    for (auto& [path, content] : durable_entries_) {
      if (!kept.contains(path) && !entries_.contains(path)) {
        kept[path] = std::make_shared<Content>(Content{content->durable, content->durable, {}});
      }
    }
    entries_ = kept;
    durable_entries_ = kept;
    locked_.clear();
  }

  /// The n-th write or sync from now on fails (0: the next); the disk then keeps
  /// nothing of it for certain.
  void FailWrite(int n) { fail_write_ = n; }
  void FailSync(int n) { fail_sync_ = n; }

  std::string Read(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    return entries_.at(path)->current;
  }
  /// Overwrites bytes durably: damage.
  void Damage(const std::string& path, uint64_t offset, std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    Put(entries_.at(path)->durable, offset, bytes);
    Put(entries_.at(path)->current, offset, bytes);
  }
  int syncs() const { return syncs_; }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(path);
    if (mode == OpenMode::kCreateNew) {
      if (found != entries_.end()) return Status(StatusCode::kIoError, path + " exists");
      entries_[path] = std::make_shared<Content>();
    } else if (found == entries_.end()) {
      return Status(StatusCode::kNotFound, path + " does not exist");
    }
    return std::unique_ptr<File>(std::make_unique<FakeFile>(*this, path, entries_[path]));
  }

  Result<std::vector<std::string>> List(const std::string& directory) override {
    const std::lock_guard lock(mutex_);
    if (!directories_.contains(directory)) {
      return Status(StatusCode::kNotFound, directory + " does not exist");
    }
    std::vector<std::string> names;
    for (const auto& [path, content] : entries_) {
      if (path.starts_with(directory + "/")) names.push_back(path.substr(directory.size() + 1));
    }
    return names;
  }

  Status CreateDirectory(const std::string& directory) override {
    const std::lock_guard lock(mutex_);
    directories_.insert(directory);
    return Status::Ok();
  }
  Status SyncDirectory(const std::string&) override {
    const std::lock_guard lock(mutex_);
    durable_entries_ = entries_;
    return Status::Ok();
  }
  Status Remove(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    return entries_.erase(path) == 1 ? Status::Ok()
                                     : Status(StatusCode::kNotFound, path + " does not exist");
  }
  Status Rename(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(mutex_);
    entries_[to] = entries_.at(from);
    entries_.erase(from);
    return Status::Ok();
  }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    if (!locked_.insert(path).second) {
      return Status(StatusCode::kLocked, path + " is held by process 1");
    }
    return std::unique_ptr<FileLock>(std::make_unique<FakeLock>(*this, path));
  }

 private:
  struct Content {
    std::string durable, current;
    std::vector<std::pair<uint64_t, std::string>> pending;
  };

  class FakeLock final : public FileLock {
   public:
    FakeLock(FakeFileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
    ~FakeLock() override {
      const std::lock_guard lock(files_.mutex_);
      files_.locked_.erase(path_);
    }

   private:
    FakeFileSystem& files_;
    const std::string path_;
  };

  class FakeFile final : public File {
   public:
    FakeFile(FakeFileSystem& files, std::string path, std::shared_ptr<Content> content)
        : files_(files), path_(std::move(path)), content_(std::move(content)) {}
    Status WriteAt(uint64_t offset, std::string_view bytes) override {
      const std::lock_guard lock(files_.mutex_);
      if (files_.fail_write_ >= 0 && files_.fail_write_-- == 0) {
        const std::string_view half = bytes.substr(0, bytes.size() / 2);  // a short write
        Put(content_->current, offset, half);
        content_->pending.emplace_back(offset, half);
        return Status(StatusCode::kIoError, "cannot write " + path_ + ": no space left");
      }
      Put(content_->current, offset, bytes);
      content_->pending.emplace_back(offset, bytes);
      return Status::Ok();
    }
    Result<std::string> ReadAt(uint64_t offset, size_t length) override {
      const std::lock_guard lock(files_.mutex_);
      if (offset >= content_->current.size()) return std::string();
      return content_->current.substr(offset, length);
    }
    Status Sync() override {
      const std::lock_guard lock(files_.mutex_);
      ++files_.syncs_;
      if (files_.fail_sync_ >= 0 && files_.fail_sync_-- == 0) {
        return Status(StatusCode::kIoError, "cannot sync " + path_ + ": input/output error");
      }
      for (const auto& [offset, bytes] : content_->pending) {
        Put(content_->durable, offset, bytes);
      }
      content_->pending.clear();
      return Status::Ok();
    }
    Result<uint64_t> Size() override {
      const std::lock_guard lock(files_.mutex_);
      return content_->current.size();
    }
    Status Truncate(uint64_t size) override {
      const std::lock_guard lock(files_.mutex_);
      content_->current.resize(size, '\0');
      content_->durable.resize(size, '\0');
      return Status::Ok();
    }
    const std::string& path() const override { return path_; }

   private:
    FakeFileSystem& files_;
    const std::string path_;
    const std::shared_ptr<Content> content_;  // lives on while open, as on POSIX
  };

  static void Put(std::string& content, uint64_t offset, std::string_view bytes) {
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size(), '\0');
    content.replace(offset, bytes.size(), bytes);
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Content>> entries_, durable_entries_;
  std::set<std::string> directories_, locked_;
  int fail_write_ = -1, fail_sync_ = -1;
  int syncs_ = 0;
};

}  // namespace indoubt::testing
