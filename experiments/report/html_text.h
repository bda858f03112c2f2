// Text that is safe inside a page.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace indoubt {

/// `text` with the five characters of HTML escaped.
std::string EscapeHtml(std::string_view text);

/// `value` as JSON that cannot end the <script> element it stands in: no '<', '>' or '&'
/// as such, nothing outside ASCII. Bytes that are no UTF-8 become U+FFFD.
std::string ScriptJson(const nlohmann::json& value);

}  // namespace indoubt
