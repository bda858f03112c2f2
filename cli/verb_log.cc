// indoubt log inspect: a decision log, one record a line. Never locks it.
#include <memory>

#include <fmt/format.h>

#include "base/file.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "recovery/file_log.h"

namespace indoubt::cli {
namespace {

int Inspect(const std::string& path, bool json) {
  const auto records = InspectLog(PosixFileSystem(), path);
  if (!records) return Fail(records.error(), json);
  size_t damaged = 0;
  for (const InspectedRecord& record : *records) {
    if (record.kind == "damage") ++damaged;
    if (json) {
      PrintJson({{"file", record.file},
                 {"offset", record.offset},
                 {"sequence", record.sequence},
                 {"kind", record.kind},
                 {"gid", record.gid.empty() ? Json() : Json(record.gid)},
                 {"detail", record.detail}});
    } else {
      PrintLine(fmt::format("{}:{} #{} {} {} {}", record.file, record.offset, record.sequence,
                            record.kind, record.gid, record.detail));
    }
  }
  if (damaged == 0) return kDone;
  Note(
      fmt::format("indoubt: {}: damaged at {}, shown above; no start gets past that: restore "
                  "the folder from a backup that holds the latest decisions",
                  path, damaged == 1 ? "one place" : fmt::format("{} places", damaged)));
  return kEnvironment;
}

}  // namespace

void AddLog(Verb program) {
  Verb verb = program.Add("log", "The decision log");
  Verb inspect = verb.Add("inspect", "One record a line, damage included");
  auto path = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  inspect.Value("PATH", *path, "The log's folder, or one segment").Required();
  inspect.Flag("--json", *json, "One JSON object a line");
  inspect.Does([path, json] { return Inspect(*path, *json); });
}

}  // namespace indoubt::cli
