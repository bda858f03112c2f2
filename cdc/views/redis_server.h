// What a view's Redis server takes and keeps, as it says itself: its limits, its memory, and
// what it does when that is full.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cdc/derivation.h"
#include "cdc/views/redis_connection.h"
#include "cdc/worker.h"

namespace indoubt {

/// Ok, or kRefused with what the server says of why it takes no write at present (OOM,
/// READONLY, MISCONF, ...), or as CheckRedisKeepsKeys. Changes nothing.
Status CheckRedisServer(const ViewOptions& options);

namespace cdc_internal {

/// kRefused when the server would make room by removing any key: rows of a view, or its
/// position, would be gone without a word. Also Ok where this user may not ask.
Status CheckRedisKeepsKeys(RedisConnection& connection);

/// `status` of sending `commands`; kInvalidArgument when an argument is what the server has
/// closed the connection for.
Status NameWhatIsTooLong(const Status& status, const std::vector<RedisCommand>& commands,
                         const std::string& sink);

}  // namespace cdc_internal
}  // namespace indoubt
