#include "experiments/summary/parameter_number.h"

#include <chrono>
#include <string>

#include "base/duration.h"

namespace indoubt {

std::optional<ParameterNumber> NumberOfParameter(const nlohmann::json& value) {
  if (value.is_number()) return ParameterNumber{value.get<double>(), false};
  if (!value.is_string()) return std::nullopt;
  const auto parsed = ParseDuration(value.get<std::string>());
  if (!parsed) return std::nullopt;
  return ParameterNumber{std::chrono::duration<double>(*parsed).count(), true};
}

}  // namespace indoubt
