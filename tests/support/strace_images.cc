#include "tests/support/strace_images.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "base/check.h"
#include "tests/support/read_text.h"

namespace indoubt::testing {

DurableFiles::DurableFiles(std::string folder, const std::string& skipped)
    : folder_(std::move(folder)) {
  const std::filesystem::path skipped_path = std::filesystem::path(folder_) / skipped;
  using Iterator = std::filesystem::recursive_directory_iterator;
  for (Iterator entry(folder_); entry != Iterator(); ++entry) {
    if (entry->path() == skipped_path) entry.disable_recursion_pending();
    if (!entry->is_regular_file()) continue;
    FileState& file = files_[entry->path()];
    file.durable = file.current = ReadText(entry->path());
  }
}

void DurableFiles::Apply(const Write& write, std::string& content) {
  if (write.truncate) {
    content.resize(write.offset, '\0');
    return;
  }
  if (content.size() < write.offset + write.bytes.size()) {
    content.resize(write.offset + write.bytes.size(), '\0');
  }
  content.replace(write.offset, write.bytes.size(), write.bytes);
}

void DurableFiles::Record(FileState& file, Write write) {
  Apply(write, file.current);
  file.pending.push_back(std::move(write));
}

Status DurableFiles::Replay(const std::string& trace_path) {
  return ReadTrace(trace_path, [this](const TracedCall& call) {
    if (call.name == "openat") {
      ReplayOpen(call);
      return Status::Ok();
    }
    if (call.name.starts_with("unlink") || call.name.starts_with("rename")) {
      ReplayName(call);
      return Status::Ok();
    }
    const auto known = files_.find(PathOfDescriptor(call.arguments));
    if (known == files_.end()) return Status::Ok();  // a socket, or outside the folder
    return ReplayCall(known->first, known->second, call);
  });
}

void DurableFiles::ReplayOpen(const TracedCall& call) {
  const std::string path = PathOfDescriptor(call.result);
  if (!path.starts_with(folder_ + "/")) return;
  const bool created = call.arguments.find("O_CREAT") != std::string::npos;
  const auto known = files_.find(path);
  if (created && (known == files_.end() || known->second.removed)) files_[path] = {};
  if (call.arguments.find("O_TRUNC") != std::string::npos) {
    Record(files_[path], {0, "", true, call.ended});
  }
}

void DurableFiles::ReplayName(const TracedCall& call) {
  const auto known = files_.find(Quoted(call.arguments, 0));
  if (known == files_.end()) return;
  if (call.name.starts_with("rename")) files_[Quoted(call.arguments, 1)] = known->second;
  known->second = FileState{.durable = "", .current = "", .pending = {}, .removed = true};
}

void DurableFiles::Sync(FileState& file, const TracedCall& call) {
  const auto uncovered =
      std::find_if(file.pending.begin(), file.pending.end(),
                   [&](const Write& write) { return write.ended >= call.began; });
  for (auto write = file.pending.begin(); write != uncovered; ++write) {
    Apply(*write, file.durable);
  }
  file.pending.erase(file.pending.begin(), uncovered);
}

Status DurableFiles::ReplayCall(const std::string& path, FileState& file,
                                const TracedCall& call) {
  if (call.name == "fsync" || call.name == "fdatasync") {
    Sync(file, call);
    ++syncs_[path];
  } else if (call.name == "write" || call.name == "pwrite64") {
    std::string bytes = Quoted(call.arguments, 0);
    bytes.resize(std::stoull(call.result));
    const uint64_t offset =
        call.name == "write" ? file.current.size() : LastNumber(call.arguments);
    Record(file, {offset, std::move(bytes), false, call.ended});
  } else if (call.name == "ftruncate") {
    Record(file, {LastNumber(call.arguments), "", true, call.ended});
  } else if (call.name == "fallocate") {
    const uint64_t end = LastNumber(call.arguments);
    if (file.current.size() < end) Record(file, {end, "", true, call.ended});
  } else {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("the trace has a call that is not replayed: {} on {}", call.name, path));
  }
  return Status::Ok();
}

size_t DurableFiles::UnsyncedBytes(const std::string& path) const {
  const auto known = files_.find(path);
  size_t bytes = 0;
  if (known == files_.end()) return bytes;
  for (const Write& write : known->second.pending) bytes += write.bytes.size();
  return bytes;
}

int DurableFiles::Syncs(const std::string& suffix) const {
  int syncs = 0;
  for (const auto& [path, count] : syncs_) {
    if (path.ends_with(suffix)) syncs += count;
  }
  return syncs;
}

size_t DurableFiles::UnsyncedWrites() const {
  size_t writes = 0;
  for (const auto& [path, file] : files_) writes += file.pending.size();
  return writes;
}

void DurableFiles::Restore(Tail tail, std::mt19937_64& random) const {
  for (const auto& [path, file] : files_) {
    if (file.removed) {
      std::filesystem::remove(path);
      continue;
    }
    std::string content = file.durable;
    if (tail == Tail::kTorn && !file.pending.empty()) {
      const size_t kept = random() % (file.pending.size() + 1);
      for (size_t i = 0; i < kept; ++i) Apply(file.pending[i], content);
      if (kept < file.pending.size() && !file.pending[kept].bytes.empty()) {
        Write torn = file.pending[kept];
        torn.bytes.resize(random() % torn.bytes.size());
        Apply(torn, content);
      }
    }
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << content;
    INDOUBT_CHECK(out.flush().good(), "cannot write " + path);
  }
}

}  // namespace indoubt::testing
