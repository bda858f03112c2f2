#include <fmt/format.h>

#include "experiments/report/content.h"
#include "experiments/report/decision.h"
#include "experiments/report/derived_tables.h"
#include "experiments/report/html_text.h"
#include "experiments/report/page_bundle.h"
#include "experiments/report/page_data.h"
#include "experiments/report/variation.h"
#include "experiments/report/writers.h"
#include "experiments/summary/control.h"
#include "experiments/summary/flips.h"
#include "experiments/summary/judgement.h"

namespace indoubt {
namespace {

using nlohmann::json;

std::string CellClass(const std::string& text) {
  if (text == "pass" || text == "fail") return " class=\"" + text + "\"";
  if (text == "–") return " class=\"quiet\"";
  return text == "no data" ? " class=\"nodata\"" : "";
}

/// What stands on a second line is smaller.
std::string CellHtml(const std::string& text) {
  const size_t end = text.find('\n');
  if (end == std::string::npos) return EscapeHtml(text);
  return EscapeHtml(text.substr(0, end)) + "<small>" + EscapeHtml(text.substr(end + 1)) +
         "</small>";
}

/// `title` is what a screen reader calls the part that scrolls.
std::string TableHtml(const Table& table, const std::string& title, const char* css) {
  std::string out = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">"
      "<table class=\"{}\"><thead><tr>",
      EscapeHtml(title), css);
  for (const std::string& name : table.header) {
    out += "<th scope=\"col\">" + EscapeHtml(name) + "</th>";
  }
  out += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr><th scope=\"row\">" + EscapeHtml(row.at(0)) + "</th>";
    for (size_t i = 1; i < row.size(); ++i) {
      out += "<td" + CellClass(row[i]) + ">" + CellHtml(row[i]) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

void AddSection(std::string& out, const std::string& title, const Table& table,
                const char* css) {
  if (table.rows.empty()) return;
  out += fmt::format("<h2>{}</h2>\n", EscapeHtml(title)) + TableHtml(table, title, css);
}

void AddList(std::string& out, const char* title, const char* css,
             const std::vector<std::string>& items) {
  if (items.empty()) return;
  out += fmt::format("<section><h2>{}</h2>\n<ul class=\"{}\">\n", title, css);
  for (const std::string& item : items) out += "<li>" + EscapeHtml(item) + "</li>\n";
  out += "</ul></section>\n";
}

const char* VerdictClass(RunVerdict verdict) {
  switch (verdict) {
    case RunVerdict::kPass:
      return "good";
    case RunVerdict::kInconclusive:
      return "warn";
    case RunVerdict::kExpectationFailed:
    case RunVerdict::kCorrectnessViolated:
      return "bad";
  }
  return "bad";
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// More prices than these in one paragraph are a wall of words.
constexpr size_t kMostInOneParagraph = 2;

/// What each path paid: a paragraph, or a list of many.
void AddPrices(std::string& out, const json& summary, const std::string& in_one_line) {
  const std::vector<std::string> prices = PriceSentences(summary);
  if (prices.size() <= kMostInOneParagraph) {
    out += "<p class=\"says\">" + EscapeHtml(in_one_line) + "</p>\n";
    return;
  }
  out += "<ul class=\"says\">\n";
  for (const std::string& price : prices) out += "<li>" + EscapeHtml(price) + ".</li>\n";
  out += "</ul>\n";
}

/// Whether it counts, what was paid and how it ended at once; the figures of each path when
/// asked for.
void AddVerdict(std::string& out, const json& summary) {
  out += fmt::format("<section class=\"verdict {}\" aria-label=\"Verdict\">\n",
                     VerdictClass(Judge(summary).verdict));
  const std::vector<std::string> lines = Lines(VerdictText(summary));
  const size_t prices = lines.front().starts_with("VOID: ") ? 1 : 0;
  if (prices == 1) out += "<p class=\"says\">" + EscapeHtml(lines.front()) + "</p>\n";
  AddPrices(out, summary, lines.at(prices));
  if (lines.size() > prices + 2) {
    out += "<details><summary>Path by path</summary>\n";
    for (size_t i = prices + 1; i + 1 < lines.size(); ++i)
      out += "<p>" + EscapeHtml(lines[i]) + "</p>\n";
    out += "</details>\n";
  }
  if (lines.size() > 1) out += "<p class=\"ends\">" + EscapeHtml(lines.back()) + "</p>\n";
  out += "</section>\n";
}

void AddEvidence(std::string& out, const json& summary) {
  const Evidence evidence = EvidenceOf(summary);
  out += fmt::format(
      "<section><h2>How good the evidence is</h2>\n<p class=\"grade\">{}</p>\n<ul>\n",
      EscapeHtml(evidence.grade));
  for (const std::string& reason : evidence.reasons) {
    out += "<li>" + EscapeHtml(reason) + "</li>\n";
  }
  out += "</ul></section>\n";
}

void AddReproduce(std::string& out, const json& summary) {
  const json& run = summary.at("run");
  out += fmt::format(
      "<section><h2>Run it again</h2>\n<pre tabindex=\"0\"><code>{}</code></pre>\n"
      "<p class=\"note-p\">Run {}, status {}, seed {}. scripts/verify recomputes every figure "
      "here from the raw records.</p></section>\n",
      EscapeHtml(ReproduceCommand(summary)), EscapeHtml(run.at("id").get<std::string>()),
      EscapeHtml(run.at("status").get<std::string>()), EscapeHtml(run.at("seed").dump()));
}

/// What is needed to decide, before any chart.
void AddOpening(std::string& out, const json& summary) {
  AddVerdict(out, summary);
  AddList(out, "Warnings", "warnings", summary.at("warnings").get<std::vector<std::string>>());
  AddSection(out, "What each path paid", DecisionTable(summary), "decision");
  out += fmt::format(
      "<p class=\"note-p\">In brackets: the 95 percent interval, where six "
      "repetitions gave one. {}</p>\n",
      EscapeHtml(kTableNote));
  out += "<div class=\"columns\">\n";
  AddList(out, "This flips if", "flips", FlipSentences(summary));
  AddEvidence(out, summary);
  AddList(out, "The control", "control", ControlSentences(summary));
  AddList(out, "What this run cannot tell", "limits", Limits(summary));
  out += "</div>\n";
  AddReproduce(out, summary);  // a long line: beside the columns, not in one
}

/// Where the script puts the charts, and what it draws them from.
void AddCharts(std::string& out, const ReportedRun& reported) {
  out += fmt::format(
      "<h2>Charts</h2>\n<div data-charts-of=\"{}\"><noscript><p>The charts need JavaScript. "
      "Every figure in them is in the tables here and in the run's "
      "folder.</p></noscript></div>\n"
      "<script type=\"application/json\" class=\"run-data\">{}</script>\n",
      EscapeHtml(reported.summary.at("run").at("id").get<std::string>()),
      ScriptJson(PageData(reported)));
  if (reported.left_out > 0) {
    out += fmt::format(
        "<p class=\"note-p\">{} paths have figures but no lines here, to keep the page small: "
        "the first ones of the page have them.</p>\n",
        reported.left_out);
  }
}

void AddAppendix(std::string& out, const json& summary) {
  AddSection(out, "All figures", PathTable(summary), "figures");
  for (const VariedParameter& parameter : VariedParameters(summary)) {
    AddSection(out, "What changes with " + parameter.key, VariationTable(summary, parameter),
               "text");
  }
  AddSection(out, "Where it died, and what was left of it", CrashPointTable(summary), "text");
  AddSection(out, kTokenReadTitle, TokenReadTable(summary), "text");
  AddSection(out, kRetainedWalTitle, RetainedWalTable(summary), "figures");
  AddSection(out, "Expectations", ExpectationTable(summary), "text wrap");
  AddSection(out, "Faults", FaultTable(summary), "text");
  AddSection(out, "Repetitions", RepetitionTable(summary), "text");
  AddSection(out, "Where it ran", EnvironmentTable(summary), "text wrap");
}

void AddRun(std::string& out, const ReportedRun& reported, const char* heading) {
  const json& run = reported.summary.at("run");
  const std::string id = EscapeHtml(run.at("id").get<std::string>());
  out += fmt::format(
      "<article id=\"{0}\"><header><p class=\"kicker\">indoubt · {2}</p>\n<{1}>{3}</{1}>\n"
      "<p class=\"meta\">{0}</p></header>\n",
      id, heading, EscapeHtml(run.at("scenario").get<std::string>()),
      EscapeHtml(run.at("question").get<std::string>()));
  AddOpening(out, reported.summary);
  AddCharts(out, reported);
  AddAppendix(out, reported.summary);
  out += "</article>\n";
}

void AddRunList(std::string& out, const std::vector<ReportedRun>& runs) {
  out += "<nav aria-label=\"Runs\"><ul>\n";
  for (const ReportedRun& run : runs) {
    const json& head = run.summary.at("run");
    out += fmt::format("<li><a href=\"#{0}\">{1}, {0}</a>: {2}</li>\n",
                       EscapeHtml(head.at("id").get<std::string>()),
                       EscapeHtml(head.at("scenario").get<std::string>()),
                       EscapeHtml(Lines(VerdictText(run.summary)).front()));
  }
  out += "</ul></nav>\n";
}

/// Nothing may be fetched, and no script run but the one that the binary carries.
std::string Policy() {
  return fmt::format("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{}'",
                     PageScriptHash());
}

}  // namespace

std::string HtmlReport(const std::vector<ReportedRun>& runs) {
  const std::string title = runs.size() == 1
                                ? runs[0].summary.at("run").at("scenario").get<std::string>()
                                : fmt::format("{} runs", runs.size());
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<title>indoubt: {}</title><style>{}</style></head><body><main>\n",
      Policy(), EscapeHtml(title), PageStyle());
  if (runs.size() > 1) {
    out += "<h1>" + EscapeHtml(title) + "</h1>\n";
    AddRunList(out, runs);
  }
  for (const ReportedRun& run : runs) AddRun(out, run, runs.size() == 1 ? "h1" : "h2");
  return out + fmt::format("</main><script>{}</script></body></html>\n", PageScript());
}

}  // namespace indoubt
