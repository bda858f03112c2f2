// What a cell paid, in the words of the verdict.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace indoubt {

/// "paid data stale for up to 11.0 s (95 percent interval ...), and 2 percent of its
/// operations refused": the largest thing that it paid with. Of a cell in which nothing was
/// measured, or its scenario's fault does not apply, says that, and praises nothing.
std::string PriceText(const nlohmann::json& cell);

/// What only some scenarios ask for, each after "; ": log kept for a slot, reads of one's own
/// writes and of two stores. Empty where nothing of it was measured.
std::string FiguresOfItsOwn(const nlohmann::json& cell);

/// "31.2 MiB"; "not measured" for null.
std::string BytesText(const nlohmann::json& bytes);

}  // namespace indoubt
