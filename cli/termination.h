// SIGINT and SIGTERM as values: a first one asks to finish, a second one ends the
// process at once.
#pragma once

#include <functional>

#include "base/clock.h"

namespace indoubt::cli {

/// Blocks SIGINT and SIGTERM in this thread and all that it starts from now on.
/// Call it before any thread starts.
void BlockTermination();

/// Returns true when a signal came, false when `give_up` said so; asks it every
/// 50 ms. From then on a further signal ends the process with exit code 130.
bool AwaitTermination(const std::function<bool()>& give_up);

}  // namespace indoubt::cli
