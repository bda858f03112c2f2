// The page's script and style sheet, which the binary carries (experiments/report/page).
#pragma once

#include <string_view>

namespace indoubt {

/// What page/src is built into: draws the charts from the data beside it. Fetches nothing.
std::string_view PageScript();
/// The script's SHA-256 in base64, as a content security policy names it.
std::string_view PageScriptHash();
/// page/page.css, for the report and the index of runs.
std::string_view PageStyle();

}  // namespace indoubt
