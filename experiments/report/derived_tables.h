// What is special to a derived path, as tables of the reports; empty where nothing of it was
// measured.
#pragma once

#include <nlohmann/json.hpp>

#include "experiments/report/content.h"

namespace indoubt {

inline constexpr const char* kTokenReadTitle = "Reading what was just written";
inline constexpr const char* kRetainedWalTitle =
    "Log that the source keeps for the change stream, over time";

/// Stale and fractured reads, with and without tokens and cuts: a row each and cell.
Table TokenReadTable(const nlohmann::json& summary);
/// WAL that the slot held over time, a row a moment, a column a cell (its first repetition).
Table RetainedWalTable(const nlohmann::json& summary);

}  // namespace indoubt
