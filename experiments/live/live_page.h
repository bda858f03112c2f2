// The live page's HTML, whole: style and script are in it.
#pragma once

#include <string>

namespace indoubt {

/// The same for every run: what it shows comes as events.
std::string LivePage();
/// Its content security policy: no script but the page's own, and no request to anybody but
/// the server that it came from.
std::string LivePolicy();

}  // namespace indoubt
