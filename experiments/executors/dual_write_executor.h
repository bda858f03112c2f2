// What people write first: the client writes one store, then the next, with plain
// clients and no coordination. Nothing undoes the first write when the second
// fails, and two operations may reach two stores in opposite order.
#pragma once

#include <memory>

#include "base/status.h"
#include "coordinator/executor.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

/// `clients` threads, each with connections of its own (SQLite, which has one
/// writer anyway, is shared). Stores are written in the order in which the request
/// first names them, each store's statements in one transaction of that store.
/// Passes the fail point dual_write_between@STORE after each store but the last.
/// Its destructor ends what is queued with kUnavailable. Thread-safe.
Result<std::unique_ptr<TransactionExecutor>> MakeDualWriteExecutor(const StoreEndpoints& stores,
                                                                   int clients);

}  // namespace indoubt
