#include "experiments/scenario_expect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/summary/expect.h"
#include "experiments/summary/figure_names.h"

namespace indoubt {
namespace {

std::string FigureList() {
  std::string list;
  for (const auto& [name, kind, meaning] : AllFigures()) {
    if (kind == FigureKind::kFlag) continue;
    const bool number = kind == FigureKind::kNumber;
    list += fmt::format("{}{}{}", list.empty() ? "" : ", ", name, number ? "" : ".p99");
  }
  return list;
}

/// What of a check is not there.
struct Absence {
  std::string error;  // nowhere: a slip of the pen
  std::string cell;   // written, and overridden away
};

Absence FindAbsence(const Check& check, const std::vector<std::string>& cells,
                    const std::vector<std::string>& written_cells) {
  Absence absence;
  for (const std::string& text : References(check)) {
    auto reference = SplitReference(cells, text);
    if (!reference) {
      reference = SplitReference(written_cells, text);
      if (!reference) {
        return {fmt::format("\"{}\" names no cell of the matrix; its cells are {}", text,
                            fmt::join(cells, ", ")),
                ""};
      }
      absence.cell = reference->cell;
    }
    if (!IsFigure(reference->figure)) {
      return {fmt::format("there is no figure \"{}\"; the figures are {} (.n, .p50, .p90, "
                          ".p999 and .max beside .p99; docs/run-format.md)",
                          reference->figure, FigureList()),
              ""};
    }
  }
  return absence;
}

}  // namespace

std::vector<size_t> ReadExpectations(ScenarioTable& document,
                                     const std::vector<std::string>& written_cells,
                                     Scenario& scenario) {
  std::vector<std::string> cells;
  for (const MatrixCell& cell : CellsOf(scenario)) cells.push_back(cell.name);
  std::vector<size_t> left_out;
  size_t index = 0;
  for (ScenarioTable& expect : document.Tables("expect")) {
    const size_t here = index++;
    std::string text;
    expect.Require("check");
    expect.Read("check", text);
    expect.NoOthers();
    const auto check = ParseCheck(text);
    if (!check) {
      expect.Wrong("check", check.error().message());
      continue;
    }
    const Absence absence = FindAbsence(*check, cells, written_cells);
    if (!absence.error.empty()) {
      expect.Wrong("check", absence.error);
    } else if (absence.cell.empty()) {
      scenario.expect.push_back(text);
    } else {
      left_out.push_back(here);
      scenario.warnings.push_back(fmt::format(
          "the expectation '{}' was left out: an override took its cell {} out of the matrix",
          text, absence.cell));
    }
  }
  return left_out;
}

}  // namespace indoubt
