// indoubt compare: two runs of one scenario against each other.
#include <memory>

#include "cli/output.h"
#include "cli/verbs.h"
#include "experiments/compare/compare.h"

namespace indoubt::cli {
namespace {

struct CompareArguments {
  std::string base, candidate;
  bool gate = false, json = false;
};

int Compare(const CompareArguments& arguments) {
  const auto comparison = CompareRuns(arguments.base, arguments.candidate);
  if (!comparison) return Fail(comparison.error(), arguments.json);
  if (arguments.json) {
    PrintJson(*comparison);
  } else {
    PrintLine(ComparisonText(*comparison));
  }
  if (!arguments.gate) return kDone;
  const GateVerdict verdict = JudgeComparison(*comparison);
  switch (verdict) {
    case GateVerdict::kPass:
      Note(
          "indoubt: gate: nothing got worse beyond the noise; a line that cannot tell says how "
          "much that is");
      break;
    case GateVerdict::kWorse:
      Note("indoubt: gate: something got worse beyond the noise");
      break;
    case GateVerdict::kCorrectnessViolated:
      Note("indoubt: gate: the candidate violates correctness");
      break;
    case GateVerdict::kCannotTell:
      Note(
          "indoubt: gate: no figure can be told apart from noise; run both with --repeat 5 "
          "or more");
      break;
  }
  return static_cast<int>(verdict);
}

}  // namespace

void AddCompare(Verb program) {
  Verb verb = program.Add("compare", "Two runs of one scenario: what got worse?");
  auto arguments = std::make_shared<CompareArguments>();
  verb.Value("BASE", arguments->base, "Folder of the run to compare with").Required();
  verb.Value("CANDIDATE", arguments->candidate, "Folder of the run to judge").Required();
  verb.Flag("--gate", arguments->gate,
            "Exit 10 when something got worse beyond the noise, 11 when the candidate "
            "violates correctness, 12 when nothing can be told");
  verb.Flag("--json", arguments->json, "One JSON object on stdout");
  verb.Does([arguments] { return Compare(*arguments); });
}

}  // namespace indoubt::cli
