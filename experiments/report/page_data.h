// What the page's charts are drawn from, as the JSON that the page carries.
#pragma once

#include <nlohmann/json.hpp>

#include "experiments/report/writers.h"

namespace indoubt {

/// One run: {"schema", "id", "cells", "series", "variations"}; the form is declared in
/// page/src/data.ts. Figures come from the summary, lines from the charts, with four
/// significant digits. Null: not measured.
nlohmann::json PageData(const ReportedRun& run);

}  // namespace indoubt
