// What somebody may have meant with a word that is not known.
#pragma once

#include <string>
#include <vector>

namespace indoubt::cli {

/// The word of `known` that takes the fewest changes (letters put in, left out, replaced or
/// swapped with the next) to become `word`; empty where that is more than
/// two, or half of the word.
std::string NearWord(const std::string& word, const std::vector<std::string>& known);

}  // namespace indoubt::cli
