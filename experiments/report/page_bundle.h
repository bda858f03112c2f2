// The pages' scripts and style sheets, which the binary carries (experiments/report/page).
#pragma once

#include <string_view>

namespace indoubt {

/// What page/src is built into: draws the charts from the data beside it. Fetches nothing.
std::string_view PageScript();
/// The script's SHA-256 in base64, as a content security policy names it.
std::string_view PageScriptHash();
/// page/page.css, for the report, the index of runs and the live page.
std::string_view PageStyle();

/// The same of the live page: page/src/live is built into the script, live.css is its own.
std::string_view LiveScript();
std::string_view LiveScriptHash();
std::string_view LiveStyle();

}  // namespace indoubt
