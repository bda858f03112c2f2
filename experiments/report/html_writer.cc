#include <fmt/format.h>

#include "experiments/report/charts.h"
#include "experiments/report/content.h"
#include "experiments/report/derived_tables.h"
#include "experiments/report/html_style.h"
#include "experiments/report/svg.h"
#include "experiments/report/variation.h"
#include "experiments/report/writers.h"
#include "experiments/summary/judgement.h"

namespace indoubt {
namespace {

using nlohmann::json;

std::string CellClass(const std::string& text) {
  if (text == "pass" || text == "fail") return " class=\"" + text + "\"";
  return text == "no data" ? " class=\"nodata\"" : "";
}

std::string TableHtml(const Table& table, const char* css) {
  std::string out = fmt::format("<div class=\"scroll\"><table class=\"{}\"><thead><tr>", css);
  for (const std::string& name : table.header) {
    out += "<th scope=\"col\">" + EscapeHtml(name) + "</th>";
  }
  out += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr><th scope=\"row\">" + EscapeHtml(row.at(0)) + "</th>";
    for (size_t i = 1; i < row.size(); ++i) {
      out += "<td" + CellClass(row[i]) + ">" + EscapeHtml(row[i]) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

void AddSection(std::string& out, const char* title, const Table& table, const char* css) {
  if (table.rows.empty()) return;
  out += fmt::format("<h2>{}</h2>\n", title) + TableHtml(table, css);
}

void AddList(std::string& out, const char* title, const char* css,
             const std::vector<std::string>& items) {
  if (items.empty()) return;
  out += fmt::format("<h2>{}</h2>\n<ul class=\"{}\">\n", title, css);
  for (const std::string& item : items) out += "<li>" + EscapeHtml(item) + "</li>\n";
  out += "</ul>\n";
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

void AddVerdict(std::string& out, const json& summary) {
  out += fmt::format("<section class=\"verdict {}\" aria-label=\"Verdict\">\n",
                     VerdictClass(Judge(summary).verdict));
  const std::string text = VerdictText(summary);
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out += "<p>" + EscapeHtml(text.substr(begin, end - begin)) + "</p>\n";
    begin = end + 1;
  }
  out += "</section>\n";
}

void AddFigure(std::string& out, const std::string& svg, const std::string& caption) {
  out += "<figure><div class=\"scroll\">" + svg + "</div><figcaption>" + EscapeHtml(caption) +
         "</figcaption></figure>\n";
}

void AddPictures(std::string& out, const ReportedRun& run) {
  out += "<h2>Over time</h2>\n";
  for (const CellChart& chart : run.charts) {
    out += "<h3>" + EscapeHtml(chart.name) + "</h3>\n";
    AddFigure(
        out, TimelineSvg(chart, run.charts),
        fmt::format("{}, repetition {}. Bands: the fault, from when it was seen to when it "
                    "was healed. All paths share the scales.",
                    chart.name, chart.rep));
  }
  if (run.charts.empty())
    out += "<p>No repetition reached its end; there is nothing to draw.</p>\n";
  out += "<h2>Latency, two ways to pay it</h2>\n<h3>The client waits</h3>\n";
  AddFigure(
      out, PercentileSvg(run.charts),
      "Response time counts from when the operation was due, service time from when it was "
      "started; what is between them is the queue. First repetition of each path.");
  out += "<h3>Others wait, or read old data</h3>\n";
  AddFigure(
      out, WaitingSvg(run.summary),
      "Time in doubt and time that outside writers were blocked, against the lag of derived "
      "data.");
}

/// What the matrix varies: a picture and its numbers for each parameter, and the steps at
/// which the paths died.
void AddVariation(std::string& out, const json& summary) {
  for (const VariedParameter& parameter : VariedParameters(summary)) {
    const std::string svg = VariationSvg(summary, parameter);
    if (svg.empty()) continue;
    out += "<h2>What changes with " + EscapeHtml(parameter.key) + "</h2>\n";
    AddFigure(
        out, svg,
        "Read each panel by itself: they share the horizontal axis, not the vertical one. A "
        "mark is the median over the repetitions, a stroke its 95 percent interval, which "
        "takes six. The lines only join what was measured; nothing in between was.");
    out += "<details><summary>The same as numbers</summary>" +
           TableHtml(VariationTable(summary, parameter), "text") + "</details>\n";
  }
  AddSection(out, "Where it died, and what was left of it", CrashPointTable(summary), "text");
}

void AddRun(std::string& out, const ReportedRun& reported, const char* heading) {
  const json& summary = reported.summary;
  const json& run = summary.at("run");
  out += fmt::format("<article id=\"{0}\"><{1}>{2}</{1}>\n<p class=\"question\">{3}</p>\n",
                     EscapeHtml(run.at("id").get<std::string>()), heading,
                     EscapeHtml(run.at("scenario").get<std::string>()),
                     EscapeHtml(run.at("question").get<std::string>()));
  AddVerdict(out, summary);
  AddList(out, "Warnings", "warnings", summary.at("warnings").get<std::vector<std::string>>());
  AddSection(out, "The paths", PathTable(summary), "figures");
  out += fmt::format("<p class=\"note-p\">{}</p>\n", EscapeHtml(kTableNote));
  AddVariation(out, summary);
  AddPictures(out, reported);
  AddSection(out, kTokenReadTitle, TokenReadTable(summary), "text");
  AddSection(out, kRetainedWalTitle, RetainedWalTable(summary), "figures");
  AddSection(out, "Expectations", ExpectationTable(summary), "text wrap");
  AddSection(out, "Faults", FaultTable(summary), "text");
  AddSection(out, "Repetitions", RepetitionTable(summary), "text");
  AddList(out, "What this run cannot tell", "limits", Limits(summary));
  AddSection(out, "Where it ran", EnvironmentTable(summary), "text wrap");
  out += fmt::format(
      "<h2>Run it again</h2>\n<pre><code>{}</code></pre>\n<p class=\"note-p\">Run {}, status "
      "{}, "
      "seed {}. scripts/verify recomputes every figure here from the raw "
      "records.</p>\n</article>\n",
      EscapeHtml(ReproduceCommand(summary)), EscapeHtml(run.at("id").get<std::string>()),
      EscapeHtml(run.at("status").get<std::string>()), EscapeHtml(run.at("seed").dump()));
}

}  // namespace

std::string HtmlReport(const std::vector<ReportedRun>& runs) {
  const std::string title = runs.size() == 1
                                ? runs[0].summary.at("run").at("scenario").get<std::string>()
                                : fmt::format("{} runs", runs.size());
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<title>indoubt: {}</title><style>{}</style></head><body><main>\n",
      EscapeHtml(title), kHtmlStyle);
  if (runs.size() > 1) {
    out += "<h1>" + EscapeHtml(title) + "</h1>\n<nav aria-label=\"Runs\"><ul>\n";
    for (const ReportedRun& run : runs) {
      const json& head = run.summary.at("run");
      const std::string verdict = VerdictText(run.summary);
      out += fmt::format("<li><a href=\"#{0}\">{1}, {0}</a>: {2}</li>\n",
                         EscapeHtml(head.at("id").get<std::string>()),
                         EscapeHtml(head.at("scenario").get<std::string>()),
                         EscapeHtml(verdict.substr(0, verdict.find('\n'))));
    }
    out += "</ul></nav>\n";
  }
  for (const ReportedRun& run : runs) AddRun(out, run, runs.size() == 1 ? "h1" : "h2");
  return out + "</main></body></html>\n";
}

}  // namespace indoubt
