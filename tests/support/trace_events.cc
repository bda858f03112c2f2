#include "tests/support/trace_events.h"

#include <optional>

#include "tests/support/strace_trace.h"

namespace indoubt::testing {
namespace {

using Kind = TraceEvent::Kind;

std::optional<Kind> KindOf(const TracedCall& call, bool is_file) {
  if (call.name == "fsync" || call.name == "fdatasync") return Kind::kSync;
  const bool writes = call.name.find("write") != std::string::npos;
  if (is_file) return writes ? std::optional(Kind::kWrite) : std::nullopt;
  if (writes || call.name.starts_with("send")) return Kind::kSend;
  if (call.name == "read" || call.name.starts_with("recv")) return Kind::kReceive;
  return std::nullopt;
}

// A path in the arguments of a call that changes names. The coordinator gives whole
// paths; relative ones are left as they are.
std::optional<TraceEvent> NameChange(const TracedCall& call) {
  TraceEvent event{Kind::kRemove, call.began, call.ended, call.thread, "", "", 0};
  if (call.name.starts_with("rename")) {
    event.kind = Kind::kRename;
    event.bytes = Quoted(call.arguments, 0);
    event.path = Quoted(call.arguments, 1);
    return event;
  }
  if (!call.name.starts_with("unlink")) return {};
  event.path = Quoted(call.arguments, 0);
  return event;
}

}  // namespace

Result<std::vector<TraceEvent>> LoadTraceEvents(const std::string& trace_path) {
  std::vector<TraceEvent> events;
  const Status read = ReadTrace(trace_path, [&events](const TracedCall& call) {
    if (call.name == "openat") return Status::Ok();
    if (auto change = NameChange(call)) {
      events.push_back(std::move(*change));
      return Status::Ok();
    }
    const std::string path = PathOfDescriptor(call.arguments);
    const bool is_file = path.starts_with("/");
    if (!is_file && !path.starts_with("socket:")) return Status::Ok();
    const std::optional<Kind> kind = KindOf(call, is_file);
    if (!kind) return Status::Ok();
    TraceEvent event{*kind, call.began, call.ended, call.thread, path, "", 0};
    if (*kind != Kind::kSync) {
      event.bytes = AllQuoted(call.arguments);
      event.bytes.resize(std::min<size_t>(event.bytes.size(), std::stoull(call.result)));
    }
    if (call.name == "pwrite64") event.offset = LastNumber(call.arguments);
    events.push_back(std::move(event));
    return Status::Ok();
  });
  if (!read.ok()) return read;
  return events;
}

}  // namespace indoubt::testing
