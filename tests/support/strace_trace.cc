#include "tests/support/strace_trace.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace indoubt::testing {
namespace {

constexpr std::string_view kUnfinished = " <unfinished ...>";

/// From "name(arguments..." on.
TracedCall Began(const std::string& line, size_t name_at, size_t number) {
  TracedCall call;
  const size_t paren = line.find('(', name_at);
  call.began = number;
  call.thread = line.substr(0, line.find(' '));
  call.name = line.substr(name_at, paren - name_at);
  call.arguments = line.substr(paren + 1);
  return call;
}

/// Splits "arguments) = result" behind the name; false for a call that failed, or that
/// its process did not survive.
bool Finish(TracedCall& call, size_t number) {
  const size_t equals = call.arguments.rfind(" = ");
  if (equals == std::string::npos) return false;
  call.ended = number;
  call.result = call.arguments.substr(equals + 3);
  // Behind a resumed call the sign is padded: ")           = 4096".
  const size_t closing = call.arguments.find_last_not_of(' ', equals);
  if (closing == std::string::npos || call.arguments[closing] != ')') return false;
  call.arguments.resize(closing);
  return !call.result.starts_with("-1") && !call.result.starts_with("?");
}

/// Puts the two lines of interrupted calls together. Thread-compatible.
class CallJoiner {
 public:
  /// The call that `line` finishes, if any.
  std::optional<TracedCall> Add(const std::string& line, size_t number) {
    const size_t name_at = line.find_first_not_of(" 0123456789");
    if (name_at == std::string::npos || line[name_at] == '+' || line[name_at] == '-') return {};
    TracedCall call;
    if (line.ends_with(kUnfinished)) {
      call = Began(line, name_at, number);
      call.arguments.resize(call.arguments.size() - kUnfinished.size());
      open_[call.thread] = std::move(call);
      return {};
    }
    if (line.compare(name_at, 5, "<... ") == 0) {
      auto open = open_.extract(line.substr(0, line.find(' ')));
      if (open.empty()) return {};
      call = std::move(open.mapped());
      call.arguments += line.substr(line.find("resumed>") + 8);
    } else {
      call = Began(line, name_at, number);
    }
    if (!Finish(call, number)) return {};
    return call;
  }

 private:
  std::map<std::string, TracedCall> open_;  // by thread
};

}  // namespace

std::vector<std::string> StraceCommand(const std::string& output_path,
                                       const std::string& calls) {
  return {"strace",         "-D", "-f",       "-y", "-xx", "-s", "4194304", "-e",
          "trace=" + calls, "-o", output_path};
}

Status ReadTrace(const std::string& path, const std::function<Status(const TracedCall&)>& use) {
  std::ifstream trace(path);
  if (!trace) return Status(StatusCode::kNotFound, fmt::format("{}: no trace", path));
  CallJoiner joiner;
  std::string line;
  for (size_t number = 1; std::getline(trace, line); ++number) {
    const std::optional<TracedCall> call = joiner.Add(line, number);
    if (call) INDOUBT_RETURN_IF_ERROR(use(*call));
  }
  return Status::Ok();
}

bool EveryThreadSleeps(pid_t pid) {
  std::error_code gone;
  const std::filesystem::directory_iterator threads(fmt::format("/proc/{}/task", pid), gone);
  if (gone) return false;
  for (const auto& thread : threads) {
    std::ifstream stat(thread.path() / "stat");
    std::string text;
    std::getline(stat, text);
    // "pid (name) state ...": a name may hold anything.
    const size_t name_end = text.rfind(") ");
    if (name_end == std::string::npos || text[name_end + 2] != 'S') return false;
  }
  return true;
}

bool TraceHasEnded(const std::string& path) {
  std::ifstream trace(path);
  std::set<std::string> seen, ended;
  std::string line;
  while (std::getline(trace, line)) {
    const std::string thread = line.substr(0, line.find(' '));
    seen.insert(thread);
    const size_t what = line.find_first_not_of(" 0123456789");
    if (what != std::string::npos && line.compare(what, 3, "+++") == 0) ended.insert(thread);
  }
  return !seen.empty() && seen == ended;
}

std::string DecodeHex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 3 < text.size(); i += 4) {
    bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
  }
  return bytes;
}

std::string PathOfDescriptor(const std::string& text) {
  const size_t from = text.find('<');
  const size_t to = text.find('>', from);
  if (from == std::string::npos || to == std::string::npos) return "";
  return DecodeHex(std::string_view(text).substr(from + 1, to - from - 1));
}

std::string Quoted(const std::string& arguments, int n) {
  size_t from = 0, to = 0;
  for (int i = 0; i <= n; ++i) {
    from = arguments.find('"', i == 0 ? 0 : to + 1);
    if (from == std::string::npos) return "";
    to = arguments.find('"', from + 1);
  }
  return DecodeHex(std::string_view(arguments).substr(from + 1, to - from - 1));
}

std::string AllQuoted(const std::string& arguments) {
  std::string bytes;
  for (size_t from = arguments.find('"'); from != std::string::npos;) {
    const size_t to = arguments.find('"', from + 1);
    bytes += DecodeHex(std::string_view(arguments).substr(from + 1, to - from - 1));
    from = arguments.find('"', to + 1);
  }
  return bytes;
}

uint64_t LastNumber(const std::string& arguments) {
  return std::stoull(arguments.substr(arguments.rfind(',') + 1));
}

}  // namespace indoubt::testing
