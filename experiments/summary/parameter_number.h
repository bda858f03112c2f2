// A value of the matrix as a number, where it is one.
#pragma once

#include <optional>

#include <nlohmann/json.hpp>

namespace indoubt {

struct ParameterNumber {
  double number = 0;  // of a duration its seconds
  bool duration = false;
};
/// None for a truth value or another text, such as a fail point.
std::optional<ParameterNumber> NumberOfParameter(const nlohmann::json& value);

}  // namespace indoubt
