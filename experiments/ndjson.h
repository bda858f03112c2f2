// A file of JSON lines that many threads append to and one thread writes.
#pragma once

#include <condition_variable>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

/// Thread-safe. A line reaches the file within about 100 ms, so that a run that is
/// cut off keeps what it measured.
class NdjsonFile {
 public:
  static Result<std::unique_ptr<NdjsonFile>> Create(const std::string& path);
  ~NdjsonFile();

  /// Never waits for the disk, unless more than 64 MiB are waiting for it.
  void Write(const nlohmann::json& line);
  /// Writes what is left. The first error of the file's life, if there was one.
  Status Close();

 private:
  NdjsonFile(std::string path, std::ofstream file);
  void Serve();
  void Flush(std::unique_lock<std::mutex>& lock);

  const std::string path_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string waiting_;   // guarded by mutex_
  bool closing_ = false;  // guarded by mutex_
  std::mutex file_mutex_;
  std::ofstream file_;  // guarded by file_mutex_
  std::thread writer_;
};

/// A time as the records have it; null when there is none.
nlohmann::json Nanos(const std::optional<int64_t>& nanos);

/// Writes `value` beside `path`, and renames it over `path`.
Status ReplaceJson(const std::string& path, const nlohmann::json& value);

}  // namespace indoubt
