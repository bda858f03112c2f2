// What the report opens with: a row a path, and how good the evidence is.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/report/content.h"

namespace indoubt {

/// One row a path with the figures that a decision rests on, each with its 95 percent
/// interval where six repetitions gave one.
Table DecisionTable(const nlohmann::json& summary);

struct Evidence {
  std::string grade;                 // "none", "indicative", "fair", "strong"
  std::vector<std::string> reasons;  // what the grade rests on, one line each
};
/// none: the run is void or inconclusive. indicative: fewer than six repetitions of some
/// path. fair: six or more, with warnings. strong: six or more and no warning.
Evidence EvidenceOf(const nlohmann::json& summary);

}  // namespace indoubt
