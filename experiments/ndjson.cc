#include "experiments/ndjson.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

namespace indoubt {
namespace {

constexpr auto kFlushInterval = std::chrono::milliseconds(100);
constexpr size_t kMostWaiting = 64u << 20;

}  // namespace

Result<std::unique_ptr<NdjsonFile>> NdjsonFile::Create(const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  if (!file) return Status(StatusCode::kIoError, "cannot write " + path);
  return std::unique_ptr<NdjsonFile>(new NdjsonFile(path, std::move(file)));
}

NdjsonFile::NdjsonFile(std::string path, std::ofstream file)
    : path_(std::move(path)), file_(std::move(file)), writer_([this] { Serve(); }) {}

NdjsonFile::~NdjsonFile() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  if (writer_.joinable()) writer_.join();
}

void NdjsonFile::Write(const nlohmann::json& line) {
  // A store's message may hold bytes that are no UTF-8.
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::unique_lock lock(mutex_);
  waiting_ += text;
  waiting_ += '\n';
  if (waiting_.size() > kMostWaiting) Flush(lock);
}

void NdjsonFile::Flush(std::unique_lock<std::mutex>& lock) {
  std::string lines;
  lines.swap(waiting_);
  lock.unlock();
  {
    std::lock_guard file_lock(file_mutex_);
    file_ << lines;
    file_.flush();
  }
  lock.lock();
}

void NdjsonFile::Serve() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    wake_.wait_for(lock, kFlushInterval, [this] { return closing_; });
    Flush(lock);
  }
  Flush(lock);
}

Status NdjsonFile::Close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  if (writer_.joinable()) writer_.join();
  std::lock_guard file_lock(file_mutex_);
  return file_ ? Status::Ok() : Status(StatusCode::kIoError, "cannot write " + path_);
}

nlohmann::json Nanos(const std::optional<int64_t>& nanos) {
  return nanos ? nlohmann::json(*nanos) : nlohmann::json(nullptr);
}

Status ReplaceJson(const std::string& path, const nlohmann::json& value) {
  const std::string beside = path + ".new";
  std::ofstream file(beside, std::ios::binary);
  file << value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  file.close();
  if (!file || std::rename(beside.c_str(), path.c_str()) != 0) {
    const std::string why = std::strerror(errno);
    std::remove(beside.c_str());  // a half one helps nobody
    return Status(StatusCode::kIoError, fmt::format("cannot write {}: {}", path, why));
  }
  return Status::Ok();
}

}  // namespace indoubt
