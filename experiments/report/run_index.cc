#include "experiments/report/run_index.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "experiments/report/html_text.h"
#include "experiments/report/page_bundle.h"
#include "experiments/report/report.h"
#include "experiments/summary/judgement.h"
#include "experiments/summary/run_record.h"

namespace indoubt {
namespace {

using nlohmann::json;

json ReadDocument(const std::filesystem::path& path) {
  std::ifstream in(path);
  json document = json::parse(in, nullptr, /*allow_exceptions=*/false);
  return document.is_object() ? document : json();
}

std::string Text(const json& document, const char* key, const char* otherwise) {
  const json value = document.is_object() ? document.value(key, json()) : json();
  return value.is_string() ? value.get<std::string>() : otherwise;
}

const char* Words(RunVerdict verdict) {
  switch (verdict) {
    case RunVerdict::kPass:
      return "pass";
    case RunVerdict::kExpectationFailed:
      return "expectation failed";
    case RunVerdict::kCorrectnessViolated:
      return "correctness violated";
    case RunVerdict::kInconclusive:
      return "inconclusive";
  }
  return "inconclusive";
}

/// Fills in what depends on a run.json that can be relied on; whether it is one.
bool Readable(const json& run, const std::filesystem::path& folder, ListedRun& listed) {
  const Status checked = run.is_null()
                             ? Status(StatusCode::kCorrupt, "run.json is no JSON object")
                             : CheckRunRecord(run, (folder / "run.json").string());
  listed.status = checked.ok() ? StatusOfRun(run, folder.string()) : "unreadable";
  if (!checked.ok()) listed.says = checked.message();
  listed.resume = ResumeCommand(listed.status, folder.string());
  return checked.ok();
}

ListedRun Describe(const std::filesystem::path& folder) {
  const json run = ReadDocument(folder / "run.json");
  ListedRun listed;
  listed.id = folder.filename().string();
  listed.date = Text(run, "started_at", "unknown");
  listed.scenario = Text(run, "scenario", "unknown");
  listed.verdict = "no summary";
  std::error_code error;
  listed.has_report = std::filesystem::exists(folder / "report.html", error);
  if (!Readable(run, folder, listed)) return listed;
  const json summary = ReadDocument(folder / "summary.json");
  if (summary.is_null()) return listed;
  try {  // a summary by another version may be of another shape
    listed.verdict = Words(Judge(summary).verdict);
    const std::string text = VerdictText(summary);
    listed.says = text.substr(0, text.find('\n'));
  } catch (const json::exception&) {
    listed.verdict = "no summary";
    listed.says =
        "summary.json is not as docs/run-format.md says; indoubt report writes it anew";
  }
  return listed;
}

const char* RowClass(const ListedRun& run) {
  if (run.verdict == "pass") return "pass";
  return run.verdict == "inconclusive" || run.verdict == "no summary" ? "nodata" : "fail";
}

std::string Percent(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string IndexHtml(const std::vector<ListedRun>& runs) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<title>indoubt: runs</title><style>{}</style></head><body><main>\n<h1>Runs</h1>\n"
      "<div class=\"scroll\"><table class=\"text wrap\"><thead><tr>",
      PageStyle());
  for (const char* name : {"Run", "Started", "Scenario", "Status", "Verdict", "What it says"}) {
    out += fmt::format("<th scope=\"col\">{}</th>", name);
  }
  out += "</tr></thead><tbody>\n";
  for (const ListedRun& run : runs) {
    const std::string name = EscapeHtml(run.id);
    out += "<tr><th scope=\"row\">" +
           (run.has_report
                ? fmt::format("<a href=\"./{}/report.html\">{}</a>", Percent(run.id), name)
                : name) +
           "</th>";
    for (const std::string* text : {&run.date, &run.scenario, &run.status}) {
      out += "<td>" + EscapeHtml(*text) + "</td>";
    }
    out += fmt::format("<td class=\"{}\">{}</td><td>{}</td></tr>\n", RowClass(run),
                       EscapeHtml(run.verdict), EscapeHtml(run.says));
  }
  return out + "</tbody></table></div>\n</main></body></html>\n";
}

}  // namespace

Result<std::vector<ListedRun>> ListRuns(const std::string& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  if (error) {
    return Status(
        StatusCode::kNotFound,
        fmt::format("{}: {}; name the folder that holds the runs", folder, error.message()));
  }
  std::vector<ListedRun> runs;
  for (const auto& entry : entries) {
    std::error_code unreadable;
    if (entry.is_symlink(unreadable) || !entry.is_directory(unreadable) ||
        !std::filesystem::exists(entry.path() / "run.json", unreadable)) {
      continue;
    }
    runs.push_back(Describe(entry.path()));
  }
  std::sort(runs.begin(), runs.end(), [](const ListedRun& a, const ListedRun& b) {
    return std::pair(a.date, a.id) > std::pair(b.date, b.id);
  });
  return runs;
}

bool IsRunsFolder(const std::string& folder) {
  std::error_code error;
  const std::filesystem::path target =
      std::filesystem::read_symlink(std::filesystem::path(folder) / "latest", error);
  // The run that it names may have been removed.
  return !error && !target.empty() && !target.has_parent_path();
}

Status WriteRunIndex(const std::string& folder) {
  INDOUBT_ASSIGN_OR_RETURN(const auto runs, ListRuns(folder));
  if (runs.empty()) return Status::Ok();
  return ReplaceFile(folder + "/index.html", IndexHtml(runs));
}

}  // namespace indoubt
