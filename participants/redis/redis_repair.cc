#include "participants/redis/redis_repair.h"

#include <algorithm>

#include <fmt/format.h>

#include "participants/redis/redis_connection.h"
#include "participants/redis/redis_uri.h"

namespace indoubt {
namespace {

struct StrayLocks {
  std::string cursor;  // of the next page; "0" after the last
  size_t count = 0;
};

Result<StrayLocks> Page(RedisConnection& connection, const std::string& function,
                        const std::string& cursor) {
  INDOUBT_ASSIGN_OR_RETURN(const RedisReply page,
                           connection.SendOne({"FCALL", function, "0", cursor}));
  if (page->type != REDIS_REPLY_ARRAY || page->elements != 2) {
    return Status(StatusCode::kUnavailable, function + ": " + Text(*page));
  }
  return StrayLocks{Text(*page->element[0]), page->element[1]->elements};
}

}  // namespace

Result<std::vector<std::string>> RepairRedis(const RedisOptions& options, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(const RedisAddress address, ParseRedisUri(options.uri));
  const Duration left = deadline - SystemClock().Now();
  INDOUBT_ASSIGN_OR_RETURN(
      const auto connection,
      RedisConnection::Connect(address,
                               std::max<Duration>(left, std::chrono::milliseconds(1))));
  INDOUBT_RETURN_IF_ERROR(connection->EnsureLibrary());
  size_t dropped = 0;
  std::string cursor = "0";
  do {
    if (SystemClock().Now() > deadline) {
      return Status(StatusCode::kUnavailable,
                    fmt::format("Redis at {}: took too long", address.Shown()));
    }
    auto page = Page(*connection, "indoubt_drop_stray_locks", cursor);
    if (!page) return page.error().WithContext("Redis at " + address.Shown());
    cursor = page->cursor;
    dropped += page->count;
  } while (cursor != "0");
  if (dropped == 0) return std::vector<std::string>{};
  return std::vector<std::string>{fmt::format("{} locks of no branch dropped", dropped)};
}

Result<std::string> WarnOfStrayLocks(RedisConnection& connection) {
  INDOUBT_ASSIGN_OR_RETURN(const StrayLocks first,
                           Page(connection, "indoubt_stray_locks", "0"));
  if (first.count == 0) return std::string();
  return fmt::format(
      "{} locks in indoubt:locks are of no prepared branch{}, so that nobody "
      "will release them: somebody has removed it by hand; `indoubt doctor "
      "--repair` drops them",
      first.count, first.cursor == "0" ? "" : ", or more");
}

}  // namespace indoubt
