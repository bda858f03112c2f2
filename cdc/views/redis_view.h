// A Redis database as a view: derived commands and position in one MULTI/EXEC. The
// position is the string at key "indoubt:cdc:position:<view>", which is watched, so
// that an EXEC whose reply was lost can never take effect behind a later one.
//
// Redis does not roll back: a command that fails inside of EXEC (a wrong type, say)
// leaves the others done and the position moved. The view is then broken; it says
// so, writes that beside its position, and stays stopped until the sink is emptied.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cdc/view.h"
#include "cdc/worker.h"

namespace indoubt {

/// Where the server holds the view's position, and a reader's wish that it stop
/// (consistent_cut.h).
std::string RedisPositionKey(const std::string& view);
std::string RedisHoldKey(const std::string& view);

/// Where it holds what is parked, the wish to try that again, and why the view is broken.
std::vector<std::string> RedisStateKeys(const std::string& view);

/// Does not connect yet. kInvalidArgument for a URI that is none, or without a
/// derivation for Redis.
Result<std::unique_ptr<View>> MakeRedisView(const ViewOptions& options);

/// The position that the server holds for the view; empty when there is none.
Result<ViewPosition> ReadRedisPosition(const ViewOptions& options);

/// Ok, or kCorrupt with what the server holds of why the view is broken.
Status ReadRedisMark(const ViewOptions& options);

/// What the view has set aside, looked at from outside of the worker.
Result<std::vector<ParkedEvent>> ReadRedisParked(const ViewOptions& options);
/// Asks the view's worker, durably, to try it again; and whether it still is asked.
Status AskRedisRetry(const ViewOptions& options);
Result<bool> RedisRetryIsAsked(const ViewOptions& options);

}  // namespace indoubt
