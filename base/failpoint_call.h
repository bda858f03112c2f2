// A fail point that calls a function of this program, for tests that hold themselves at a point
// until they have seen enough. No spec can say it, and nothing of the product does it.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/status.h"

namespace indoubt {

/// Arms `name` beside what is armed, until the next ConfigureFailPoints: whoever comes there
/// the `hit`th time calls `call`, and goes on with what it returns. `name` must be in
/// AllFailPoints() (checked). Call it before threads start, as ConfigureFailPoints.
void ArmFailPoint(std::string_view name, uint64_t hit, std::function<Status()> call);

}  // namespace indoubt
