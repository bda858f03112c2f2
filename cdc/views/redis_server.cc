#include "cdc/views/redis_server.h"

#include <charconv>
#include <map>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "cdc/views/redis_view.h"

namespace indoubt {
namespace cdc_internal {
namespace {

// A server refuses an argument above its proto-max-bulk-len by closing the connection, which no
// error that the client sees tells from a lost one. No server can be told to take less than
// kSurelyTaken; kUsuallyTaken is what each takes that nobody has told.
constexpr size_t kSurelyTaken = size_t{1} << 20;
constexpr uint64_t kUsuallyTaken = uint64_t{512} << 20;

/// The settings that match `pattern`; none where this user may not ask.
Result<std::map<std::string, std::string>> Settings(RedisConnection& connection,
                                                    const std::string& pattern) {
  std::map<std::string, std::string> settings;
  const auto reply = connection.Ask({"CONFIG", "GET", pattern});
  if (!reply && reply.error().code() == StatusCode::kRefused) return settings;
  if (!reply) return reply.error();
  const redisReply& pairs = **reply;
  for (size_t i = 0; i + 1 < pairs.elements; i += 2) {
    const redisReply& name = *pairs.element[i];
    const redisReply& value = *pairs.element[i + 1];
    settings.emplace(std::string(name.str, name.len), std::string(value.str, value.len));
  }
  return settings;
}

Result<uint64_t> LongestTaken(const std::string& sink) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection, RedisConnection::Connect(sink));
  INDOUBT_ASSIGN_OR_RETURN(auto settings, Settings(*connection, "proto-max-bulk-len"));
  const std::string text = settings["proto-max-bulk-len"];
  uint64_t limit = 0;
  std::from_chars(text.data(), text.data() + text.size(), limit);
  return limit > 0 ? limit : kUsuallyTaken;
}

}  // namespace

Status CheckRedisKeepsKeys(RedisConnection& connection) {
  INDOUBT_ASSIGN_OR_RETURN(auto settings, Settings(connection, "maxmemory*"));
  const std::string policy = settings["maxmemory-policy"];
  if (!policy.starts_with("allkeys-") || settings["maxmemory"] == "0") return Status::Ok();
  return Status(
      StatusCode::kRefused,
      fmt::format("Redis removes any key when its memory is full (maxmemory-policy is "
                  "{}), so rows of the view would be gone without a word; CONFIG SET "
                  "maxmemory-policy noeviction, then rebuild the view if some may be "
                  "gone already (indoubt cdc rebuild)",
                  policy));
}

Status NameWhatIsTooLong(const Status& status, const std::vector<RedisCommand>& commands,
                         const std::string& sink) {
  if (status.code() != StatusCode::kUnavailable) return status;
  size_t longest = 0;
  const RedisCommand* of = nullptr;
  for (const RedisCommand& command : commands) {
    for (const std::string& argument : command) {
      if (argument.size() <= longest) continue;
      longest = argument.size();
      of = &command;
    }
  }
  if (longest <= kSurelyTaken) return status;
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t limit, LongestTaken(sink));
  if (longest <= limit) return status;
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("Redis: {} {}: a value of {} bytes, and the server takes {} "
                  "(proto-max-bulk-len); raise that, or leave the column out of the "
                  "view",
                  (*of)[0], of->size() > 1 ? (*of)[1].substr(0, 120) : "", longest, limit));
}

}  // namespace cdc_internal

Status CheckRedisServer(const ViewOptions& options) {
  using cdc_internal::RedisConnection;
  const cdc_internal::SigpipeBlocked no_signal;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           RedisConnection::Connect(options.sink, options.sink_patience));
  // A write to the server, which may refuse it as any other; without bytes it writes nothing.
  INDOUBT_RETURN_IF_ERROR(
      connection->Append({"SETRANGE", RedisPositionKey(options.name), "0", ""}));
  INDOUBT_ASSIGN_OR_RETURN(const cdc_internal::RedisReplyPtr reply, connection->Receive());
  if (reply->type == REDIS_REPLY_ERROR) {
    const std::string said(reply->str, reply->len);
    if (!said.starts_with("NOPERM") && !said.starts_with("WRONGTYPE")) {
      return Status(StatusCode::kRefused,
                    fmt::format("Redis takes no write at present: {}; the view stands still "
                                "until it does",
                                said));
    }
  }
  return cdc_internal::CheckRedisKeepsKeys(*connection);
}

}  // namespace indoubt
