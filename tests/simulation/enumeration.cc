#include "tests/simulation/enumeration.h"

#include <cctype>

#include <fmt/format.h>

#include "base/check.h"

namespace indoubt::simulation {
namespace {

constexpr std::string_view kLetters = "yrnqalu";  // in the order of PrepareFate

}  // namespace

size_t ChoiceTree::Choose(size_t options) {
  if (at_ == path_.size()) path_.push_back({0, options});
  Branching& here = path_[at_++];
  if (here.options == 0) here.options = options;  // of a repeated run
  INDOUBT_CHECK(here.options == options && here.chosen < options,
                "the same choices lead to the same place");
  return here.chosen;
}

bool ChoiceTree::Next() {
  at_ = 0;
  while (!path_.empty() && path_.back().chosen + 1 >= path_.back().options) path_.pop_back();
  if (path_.empty()) return false;
  ++path_.back().chosen;
  return true;
}

std::vector<size_t> ChoiceTree::choices() const {
  std::vector<size_t> choices;
  for (const Branching& branching : path_) choices.push_back(branching.chosen);
  return choices;
}

void ChoiceTree::Repeat(const std::vector<size_t>& choices) {
  path_.clear();
  at_ = 0;
  for (const size_t choice : choices) path_.push_back({choice, 0});
}

std::string Plan::ToString() const {
  std::string text;
  for (const PrepareFate fate : prepares) text += kLetters[static_cast<size_t>(fate)];
  if (last_resource) text.back() = static_cast<char>(std::toupper(text.back()));
  return fmt::format("{}:{}{}", text, faults, last_is_quickest ? '<' : '>');
}

Result<Plan> Plan::Parse(const std::string& text) {
  Plan plan;
  size_t at = 0;
  for (; at < text.size() && text[at] != ':'; ++at) {
    const size_t letter = kLetters.find(static_cast<char>(std::tolower(text[at])));
    if (letter == kLetters.npos || plan.last_resource) break;
    plan.last_resource = std::isupper(text[at]) != 0;
    plan.prepares.push_back(static_cast<PrepareFate>(letter));
  }
  if (plan.prepares.empty() || at + 2 >= text.size() || text[at] != ':') {
    return Status(StatusCode::kInvalidArgument, text + ": not a plan, as \"yn:2>\" is one");
  }
  plan.faults = text[at + 1] - '0';
  plan.last_is_quickest = text[at + 2] == '<';
  return plan;
}

size_t ExhaustiveNature::Fault(size_t options) {
  if (!armed_ || faults_left_ == 0) return 0;
  const size_t chosen = tree_.Choose(options);
  if (chosen > 0) --faults_left_;
  return chosen;
}

Duration ExhaustiveNature::Latency(size_t store) {
  const size_t place = plan_.last_is_quickest ? plan_.prepares.size() - store : store + 1;
  return std::chrono::milliseconds(place);
}

Fate ExhaustiveNature::OfRequest(MessageKind kind, size_t store) {
  constexpr Fate kFaults[] = {Fate::kArrives, Fate::kTwice, Fate::kLost};
  switch (kind) {
    case MessageKind::kPrepare:
    case MessageKind::kDecide:
      if (plan_.prepares[store] == PrepareFate::kRequestLost) return Fate::kLost;
      if (plan_.prepares[store] == PrepareFate::kLate) return Fate::kLate;
      return kFaults[Fault(2)];
    case MessageKind::kCommit:
    case MessageKind::kRollback:
    case MessageKind::kAsk:
      return kFaults[Fault(3)];
    case MessageKind::kOnePhase:
    case MessageKind::kList:
    case MessageKind::kListOutcomes:
    case MessageKind::kPreflight:
    case MessageKind::kForget:
    case MessageKind::kListRows:
    case MessageKind::kForgetRows:
    case MessageKind::kClose:
      return Fate::kArrives;
  }
  return Fate::kArrives;
}

Fate ExhaustiveNature::OfReply(MessageKind kind, size_t store) {
  const bool once = kind == MessageKind::kPrepare || kind == MessageKind::kDecide;
  if (once && plan_.prepares[store] == PrepareFate::kReplyLost) {
    return Fate::kLost;
  }
  return OfRequest(kind, store);
}

VoteKind ExhaustiveNature::Vote(size_t store) {
  switch (plan_.prepares[store]) {
    case PrepareFate::kReadOnly:
      return VoteKind::kReadOnly;
    case PrepareFate::kNo:
      return VoteKind::kNo;
    case PrepareFate::kYes:
    case PrepareFate::kRequestLost:
    case PrepareFate::kReplyLost:
    case PrepareFate::kLate:
    case PrepareFate::kUnderWay:
      return VoteKind::kYes;
  }
  return VoteKind::kYes;
}

Duration ExhaustiveNature::CommitTime(size_t store) {
  const bool slow = plan_.prepares[store] == PrepareFate::kUnderWay;
  return slow ? std::chrono::milliseconds(1500) : Duration{};
}

Death ExhaustiveNature::BeforeStep(const std::function<bool()>& unsynced) {
  if (!armed_ || faults_left_ == 0) return Death::kNone;
  constexpr Death kDeaths[] = {Death::kNone, Death::kKilled, Death::kPowerLost,
                               Death::kPowerKept, Death::kPowerTorn};
  // With everything synced a power cut and a kill leave the same.
  return kDeaths[Fault(unsynced() ? 5 : 2)];
}

DiskFate ExhaustiveNature::OfDisk(DiskStep step) {
  constexpr DiskFate kFates[] = {DiskFate::kDone, DiskFate::kFails, DiskFate::kFailsThough};
  return step == DiskStep::kSync ? kFates[Fault(3)] : DiskFate::kDone;
}

}  // namespace indoubt::simulation
