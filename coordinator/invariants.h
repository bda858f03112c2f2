// What must hold after every step of a transaction. Checked in every build.
#pragma once

#include <vector>

#include "coordinator/transaction.h"

namespace indoubt {

/// The first rule of the protocol that `actions`, just given by `transaction`,
/// break; nullptr when none is broken. `answered_before` is whether the caller had
/// been answered before this step.
const char* FirstViolation(const Transaction& transaction, const std::vector<Action>& actions,
                           bool answered_before);

}  // namespace indoubt
