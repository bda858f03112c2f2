#include <fmt/format.h>

#include "experiments/summary/judgement.h"
#include "experiments/summary/warnings.h"

namespace indoubt {
namespace {

using nlohmann::json;
using Reasons = std::vector<std::string>;

void AddViolations(const std::string& label, const json& rep, Reasons& reasons) {
  const auto add = [&](const json& count, const char* what) {
    if (count.is_number() && count.get<int64_t>() > 0) {
      reasons.push_back(fmt::format("{}: {} {}", label, count.get<int64_t>(), what));
    }
  };
  add(rep.at("inconsistent").at("permanent"), "key(s) inconsistent for good");
  add(rep.at("lost_acknowledged"), "acknowledged commit(s) lost");
  add(rep.at("resurrected"), "transaction(s) present that were answered as rolled back");
  add(rep.at("leftovers"), "prepared branch(es), intent(s), lock(s) or staged row(s) left");
  add(rep.at("unwritable"), "key(s) not writable after recovery");
  add(rep.at("own_reads").at("with_token").at("stale"), "read(s) stale in spite of a token");
  add(rep.at("pair_reads").at("with_cut").at("fractured"),
      "pair(s) read apart in spite of a consistent cut");
  if (rep.at("recovery_idempotent") == false) {
    reasons.push_back(label + ": a second recovery found something to do");
  }
}

void AddDoubts(const std::string& label, const json& rep, Reasons& reasons) {
  if (rep.at("status") == "disturbed") {
    reasons.push_back(label + ": disturbed by hand, which is no evidence");
  } else if (rep.at("status") != "done") {
    reasons.push_back(label + ": " + rep.at("status").get<std::string>());
  }
  if (LoadFellBehind(rep)) {
    reasons.push_back(label + ": the load fell behind (more than 1 percent dropped)");
  }
  if (rep.at("attempted").is_null() || rep.at("attempted") == 0) {
    reasons.push_back(label + ": no operation was measured");
  }
  if (rep.at("inconsistent").at("permanent").is_null()) {
    reasons.push_back(label + ": the stores were not compared at the end");
  }
  for (const json& fault : rep.at("faults")) {
    if (fault.at("observed_at").is_null()) {
      reasons.push_back(label + ": a fault was asked for and never seen to happen");
    } else if (fault.at("healed_at").is_null()) {
      reasons.push_back(label + ": a fault was never healed");
    }
  }
}

void AddExpectations(const json& summary, const std::string& verdict, Reasons& reasons) {
  for (const json& expect : summary.at("expect")) {
    if (expect.at("verdict") != verdict) continue;
    const std::string observed =
        expect.at("observed").is_null()
            ? "no data: " + (expect.at("reason").is_string()
                                 ? expect.at("reason").get<std::string>()
                                 : std::string("not measured"))
            : fmt::format("observed {:.6g}", expect.at("observed").get<double>());
    reasons.push_back(
        fmt::format("expected {}: {}", expect.at("check").get<std::string>(), observed));
  }
}

}  // namespace

bool PromisesAtomicity(const std::string& path) {
  return path == "2pc" || path == "2pc-embedded" || path == "cdc";
}

RunJudgement Judge(const json& summary) {
  Reasons violated, doubtful, failed;
  for (const json& cell : summary.at("cells")) {
    if (cell.at("reps").empty()) {
      doubtful.push_back(cell.at("name").get<std::string>() + ": no repetition was run");
    }
    for (const json& rep : cell.at("reps")) {
      const std::string label = fmt::format(
          "{} repetition {}", cell.at("name").get<std::string>(), rep.at("n").get<int64_t>());
      if (PromisesAtomicity(cell.at("path").get<std::string>())) {
        AddViolations(label, rep, violated);
      }
      AddDoubts(label, rep, doubtful);
    }
  }
  const std::string status = summary.at("run").at("status").get<std::string>();
  if (status != "done") doubtful.push_back("the run is " + status);
  if (summary.at("cells").empty()) doubtful.emplace_back("no cell was run");
  if (const auto reason = VoidReason(summary.at("env"))) doubtful.push_back(*reason);
  AddExpectations(summary, "no_data", doubtful);
  AddExpectations(summary, "fail", failed);

  RunJudgement judgement;
  judgement.verdict = !violated.empty()   ? RunVerdict::kCorrectnessViolated
                      : !doubtful.empty() ? RunVerdict::kInconclusive
                      : !failed.empty()   ? RunVerdict::kExpectationFailed
                                          : RunVerdict::kPass;
  for (const Reasons* reasons : {&violated, &doubtful, &failed}) {
    judgement.reasons.insert(judgement.reasons.end(), reasons->begin(), reasons->end());
  }
  return judgement;
}

}  // namespace indoubt
