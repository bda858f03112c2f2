#include "tests/support/strace_images.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "base/check.h"

namespace indoubt::testing {
namespace {

std::string Slurp(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// strace -xx writes every byte of a string as \xHH.
std::string DecodeHex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 3 < text.size(); i += 4) {
    bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
  }
  return bytes;
}

/// The path in "5<\x2f...>", the first descriptor of the arguments.
std::string PathOfDescriptor(const std::string& arguments) {
  const size_t from = arguments.find('<');
  const size_t to = arguments.find('>', from);
  if (from == std::string::npos || to == std::string::npos) return "";
  return DecodeHex(std::string_view(arguments).substr(from + 1, to - from - 1));
}

/// The n-th quoted string of the arguments.
std::string Quoted(const std::string& arguments, int n) {
  size_t from = 0, to = 0;
  for (int i = 0; i <= n; ++i) {
    from = arguments.find('"', i == 0 ? 0 : to + 1);
    if (from == std::string::npos) return "";
    to = arguments.find('"', from + 1);
  }
  return DecodeHex(std::string_view(arguments).substr(from + 1, to - from - 1));
}

/// The last argument as a number.
uint64_t LastNumber(const std::string& arguments) {
  return std::stoull(arguments.substr(arguments.rfind(',') + 1));
}

std::string LastOpenedPath(const std::string& line) {
  const size_t from = line.rfind('<');
  return DecodeHex(std::string_view(line).substr(from + 1, line.rfind('>') - from - 1));
}

}  // namespace

std::vector<std::string> StraceCommand(const std::string& output_path) {
  return {"strace",
          "-D",
          "-f",
          "-y",
          "-xx",
          "-s",
          "4194304",
          "-e",
          "trace=openat,write,pwrite64,writev,pwritev,pwritev2,fdatasync,fsync,ftruncate,"
          "fallocate,unlink,unlinkat,rename,renameat,renameat2",
          "-o",
          output_path};
}

DurableFiles::DurableFiles(std::string folder, const std::string& skipped)
    : folder_(std::move(folder)) {
  const std::filesystem::path skipped_path = std::filesystem::path(folder_) / skipped;
  using Iterator = std::filesystem::recursive_directory_iterator;
  for (Iterator entry(folder_); entry != Iterator(); ++entry) {
    if (entry->path() == skipped_path) entry.disable_recursion_pending();
    if (!entry->is_regular_file()) continue;
    FileState& file = files_[entry->path()];
    file.durable = file.current = Slurp(entry->path());
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
  // "PID name(arguments) = result", or the same in two lines around other calls.
  struct Open {
    std::string name, arguments;
    std::map<std::string, size_t> pending;  // of each file, when the call began
  };
  std::map<std::string, Open> open;  // by thread
  std::ifstream trace(trace_path);
  std::string line;
  const auto pending_now = [this] {
    std::map<std::string, size_t> pending;
    for (const auto& [path, file] : files_) pending[path] = file.pending.size();
    return pending;
  };
  while (std::getline(trace, line)) {
    const size_t name_at = line.find_first_not_of(" 0123456789");
    if (name_at == std::string::npos || line[name_at] == '+' || line[name_at] == '-') continue;
    const std::string thread = line.substr(0, line.find(' '));
    if (line.ends_with("<unfinished ...>")) {
      const size_t paren = line.find('(', name_at);
      open[thread] = {line.substr(name_at, paren - name_at),
                      line.substr(paren + 1, line.size() - paren - 1 - 17), pending_now()};
      continue;
    }
    Open call;
    if (line.compare(name_at, 5, "<... ") == 0) {
      const auto found = open.find(thread);
      if (found == open.end()) continue;
      call = std::move(found->second);
      open.erase(found);
      call.arguments += line.substr(line.find("resumed>") + 8);
    } else {
      const size_t paren = line.find('(', name_at);
      call = {line.substr(name_at, paren - name_at), line.substr(paren + 1), {}};
      if (call.name.ends_with("sync")) call.pending = pending_now();
    }
    const size_t equals = call.arguments.rfind(" = ");
    if (equals == std::string::npos) continue;  // killed inside
    const std::string result = call.arguments.substr(equals + 3);
    // Behind a resumed call the sign is padded: ")           = 4096".
    const size_t closing = call.arguments.find_last_not_of(' ', equals);
    if (closing == std::string::npos || call.arguments[closing] != ')') continue;
    if (result.starts_with("-1") || result.starts_with("?")) continue;
    if (call.name == "openat") {
      const std::string path = LastOpenedPath(call.arguments);
      if (!path.starts_with(folder_ + "/")) continue;
      const bool created = call.arguments.find("O_CREAT") != std::string::npos;
      const auto known = files_.find(path);
      if (created && (known == files_.end() || known->second.removed)) files_[path] = {};
      if (call.arguments.find("O_TRUNC") != std::string::npos) {
        Record(files_[path], {0, "", true});
      }
      continue;
    }
    INDOUBT_RETURN_IF_ERROR(ReplayCall(call.name, call.arguments.substr(0, closing),
                                       std::stoll(result), call.pending));
  }
  return Status::Ok();
}

Status DurableFiles::ReplayCall(const std::string& name, const std::string& arguments,
                                int64_t result,
                                const std::map<std::string, size_t>& pending_at_start) {
  if (name.starts_with("unlink") || name.starts_with("rename")) {
    const std::string from = Quoted(arguments, 0);
    const auto known = files_.find(from);
    if (known == files_.end()) return Status::Ok();
    if (name.starts_with("rename")) files_[Quoted(arguments, 1)] = known->second;
    known->second = FileState{.durable = "", .current = "", .pending = {}, .removed = true};
    return Status::Ok();
  }
  const std::string path = PathOfDescriptor(arguments);
  const auto known = files_.find(path);
  if (known == files_.end()) return Status::Ok();  // a socket, or outside the folder
  FileState& file = known->second;
  if (name == "fsync" || name == "fdatasync") {
    const auto at_start = pending_at_start.find(path);
    const size_t covered = at_start == pending_at_start.end() ? 0 : at_start->second;
    for (size_t i = 0; i < covered; ++i) Apply(file.pending[i], file.durable);
    file.pending.erase(file.pending.begin(),
                       file.pending.begin() + static_cast<std::ptrdiff_t>(covered));
    ++syncs_[path];
  } else if (name == "write") {
    std::string bytes = Quoted(arguments, 0);
    bytes.resize(static_cast<size_t>(result));
    Record(file, {file.current.size(), std::move(bytes)});
  } else if (name == "pwrite64") {
    std::string bytes = Quoted(arguments, 0);
    bytes.resize(static_cast<size_t>(result));
    Record(file, {LastNumber(arguments), std::move(bytes)});
  } else if (name == "ftruncate") {
    Record(file, {LastNumber(arguments), "", true});
  } else if (name == "fallocate") {
    const uint64_t end = LastNumber(arguments);
    if (file.current.size() < end) Record(file, {end, "", true});
  } else {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("the trace has a call that is not replayed: {} on {}", name, path));
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
