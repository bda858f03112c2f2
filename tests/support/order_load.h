// Orders sent to a running `indoubt serve`, several at once.
#pragma once

#include <functional>
#include <map>

#include "coordinator/executor.h"

namespace indoubt::testing {

/// An order that shares no row or key with any other, so that all of them can commit at
/// once. It moves no balance: Stores::Unbalanced does not hold afterwards.
TransactionRequest IndependentOrder(int64_t order);

/// Sends request(first), (first + 1), ... while `more(order)`, `at_once` at a time;
/// returns every answer, by order. Aborts when none comes for a minute.
std::map<int64_t, TransactionOutcome> RunOrders(
    TransactionExecutor& service, int64_t first, int at_once,
    const std::function<bool(int64_t)>& more,
    const std::function<TransactionRequest(int64_t)>& request = IndependentOrder);

}  // namespace indoubt::testing
