#include "coordinator/readiness.h"

#include <fmt/format.h>

namespace indoubt {
namespace {

/// The refusal that a report's problems ask for; Ok without problems.
Status Judge(const std::string& name, const PreflightReport& report) {
  if (report.problems.empty()) return Status::Ok();
  std::string problems;
  for (const std::string& problem : report.problems) {
    if (!problems.empty()) problems += "; ";
    problems += problem;
  }
  return Status(StatusCode::kRefused, fmt::format("{}: {}", name, problems));
}

}  // namespace

Readiness::Readiness(Runtime& runtime,
                     const std::vector<std::unique_ptr<Participant>>& participants)
    : runtime_(runtime), participants_(participants), states_(participants.size()) {
  for (size_t i = 0; i < states_.size(); ++i) {
    states_[i].status =
        Status(StatusCode::kUnavailable,
               fmt::format("{}: not checked yet; try again", participants_[i]->name()));
  }
}

void Readiness::Check(Whom whom, TimePoint deadline) {
  std::lock_guard one_at_a_time(checking_);
  std::vector<size_t> chosen;
  {
    std::shared_lock lock(mutex_);
    for (size_t i = 0; i < states_.size(); ++i) {
      const bool unready = states_[i].suspect || !states_[i].status.ok();
      if (whom == Whom::kEverybody || unready) chosen.push_back(i);
    }
  }
  runtime_.RunAll(chosen, [this, deadline](size_t i) { CheckOne(i, deadline); });
}

void Readiness::CheckOne(size_t participant, TimePoint deadline) {
  const std::string& name = participants_[participant]->name();
  Result<PreflightReport> report = participants_[participant]->Preflight(deadline);
  std::unique_lock lock(mutex_);
  State& state = states_[participant];
  if (!report) {
    // One that works and was only slow to answer is not shut out, but looked at again.
    const bool works = state.status.ok() && !state.suspect;
    state.suspect = true;
    if (works) {
      lock.unlock();
      if (on_suspect_) on_suspect_();
      return;
    }
    state.clean = false;
    const bool away = report.error().code() != StatusCode::kInvalidArgument &&
                      report.error().code() != StatusCode::kRefused;
    const std::string& message = report.error().message();
    state.status =
        Status(away ? StatusCode::kUnavailable : StatusCode::kRefused,
               message.starts_with(name) ? message : fmt::format("{}: {}", name, message));
    return;
  }
  state.suspect = false;
  state.status = Judge(name, *report);
  state.warnings.clear();
  for (const std::string& warning : report->warnings) {
    state.warnings.push_back(warning.starts_with(name) ? warning
                                                       : fmt::format("{}: {}", name, warning));
  }
  state.clean = state.status.ok() && state.warnings.empty();
}

Status Readiness::Ready(size_t participant, std::vector<std::string>& warnings) const {
  const State& state = states_[participant];
  if (state.clean) return Status::Ok();
  std::shared_lock lock(mutex_);
  if (!state.status.ok()) return state.status;
  warnings.insert(warnings.end(), state.warnings.begin(), state.warnings.end());
  return Status::Ok();
}

void Readiness::Suspect(size_t participant) {
  {
    std::shared_lock lock(mutex_);
    if (states_[participant].suspect) return;
  }
  {
    std::unique_lock lock(mutex_);
    states_[participant].suspect = true;
  }
  if (on_suspect_) on_suspect_();
}

}  // namespace indoubt
