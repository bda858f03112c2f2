// What must hold after every step of a transaction. Checked in every build.
#pragma once

#include <span>

#include "coordinator/transaction.h"

namespace indoubt {

/// The first rule of the protocol that `actions`, just given by `transaction`,
/// break; nullptr when none is broken. `answered_before` is whether the caller had
/// been answered before this step.
const char* FirstViolation(const Transaction& transaction, std::span<const Action> actions,
                           bool answered_before);

}  // namespace indoubt
