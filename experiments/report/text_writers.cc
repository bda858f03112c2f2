#include <iterator>

#include <fmt/format.h>

#include "experiments/report/content.h"
#include "experiments/report/decision.h"
#include "experiments/report/derived_tables.h"
#include "experiments/report/variation.h"
#include "experiments/report/writers.h"
#include "experiments/summary/control.h"
#include "experiments/summary/figures.h"
#include "experiments/summary/flips.h"
#include "experiments/summary/judgement.h"

namespace indoubt {
namespace {

using nlohmann::json;

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

void FlattenAll(const json& value, const std::string& prefix,
                std::vector<std::pair<std::string, json>>& out) {
  for (const auto& [name, child] : value.items()) {
    const std::string path = prefix.empty() ? name : fmt::format("{}.{}", prefix, name);
    if (child.is_object()) {
      FlattenAll(child, path, out);
    } else if (child.is_number() || child.is_null() || child.is_boolean()) {
      out.emplace_back(path, child);
    }
  }
}

/// Keeps a cell of a Markdown table in its cell.
std::string MarkdownCell(const std::string& text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c == '\n' ? ' ' : c;
  }
  return cell;
}

void AddTable(std::string& out, const std::string& title, const Table& table) {
  if (table.rows.empty()) return;
  out += "\n## " + title + "\n\n|";
  for (const std::string& name : table.header) out += " " + name + " |";
  out += "\n|";
  for (size_t i = 0; i < table.header.size(); ++i) out += i == 0 ? "---|" : "---:|";
  for (const auto& row : table.rows) {
    out += "\n|";
    for (const std::string& cell : row) out += " " + MarkdownCell(cell) + " |";
  }
  out += "\n";
}

void AddList(std::string& out, const std::string& title,
             const std::vector<std::string>& items) {
  if (items.empty()) return;
  out += "\n## " + title + "\n\n";
  for (const std::string& item : items) out += "- " + MarkdownCell(item) + "\n";
}

}  // namespace

std::string SummaryCsv(const json& summary) {
  std::string out = "cell,path,repetition,figure,value\n";
  for (const json& cell : summary.at("cells")) {
    for (json rep : cell.at("reps")) {
      const std::string head =
          fmt::format("{},{},{}", CsvField(cell.at("name").get<std::string>()),
                      CsvField(cell.at("path").get<std::string>()), rep.at("n").get<int64_t>());
      for (const char* key : {"n", "dir", "status", "error", "faults", "not_applicable"})
        rep.erase(key);
      std::vector<std::pair<std::string, json>> figures;
      FlattenAll(rep, "", figures);
      for (const auto& [name, value] : figures) {
        fmt::format_to(std::back_inserter(out), "{},{},{}\n", head, CsvField(name),
                       value.is_null() ? "" : value.dump());
      }
    }
  }
  return out;
}

std::string MarkdownReport(const json& summary) {
  const json& run = summary.at("run");
  std::string out =
      fmt::format("# {}\n\n{}\n\n## Verdict\n\n", run.at("scenario").get<std::string>(),
                  run.at("question").get<std::string>());
  const std::string verdict = VerdictText(summary);
  for (const char c : verdict) out += c == '\n' ? std::string("\n\n") : std::string(1, c);
  out += "\n";
  AddList(out, "Warnings", summary.at("warnings").get<std::vector<std::string>>());
  AddTable(out, "What each path paid", DecisionTable(summary));
  AddList(out, "This flips if", FlipSentences(summary));
  AddList(out, "The control", ControlSentences(summary));
  AddList(out, "What this run cannot tell", Limits(summary));
  const Evidence evidence = EvidenceOf(summary);
  AddList(out, "How good the evidence is: " + evidence.grade, evidence.reasons);
  AddTable(out, "All figures", PathTable(summary));
  out += fmt::format("\n{}\n", kTableNote);
  for (const VariedParameter& parameter : VariedParameters(summary)) {
    AddTable(out, "What changes with " + parameter.key, VariationTable(summary, parameter));
  }
  AddTable(out, "Where it died, and what was left of it", CrashPointTable(summary));
  AddTable(out, kTokenReadTitle, TokenReadTable(summary));
  AddTable(out, kRetainedWalTitle, RetainedWalTable(summary));
  AddTable(out, "Expectations", ExpectationTable(summary));
  AddTable(out, "Faults", FaultTable(summary));
  AddTable(out, "Repetitions", RepetitionTable(summary));
  AddTable(out, "Where it ran", EnvironmentTable(summary));
  out += fmt::format("\n## Run it again\n\n    {}\n\nRun {}, status {}, seed {}.\n",
                     ReproduceCommand(summary), run.at("id").get<std::string>(),
                     run.at("status").get<std::string>(), run.at("seed").dump());
  return out;
}

}  // namespace indoubt
