#include "cdc/redis_view.h"

#include <set>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "cdc/redis_connection.h"
#include "participants/redis/redis_uri.h"

namespace indoubt {
namespace {

using cdc_internal::RedisConnection;
using cdc_internal::RedisReplyPtr;

std::string BrokenKey(const std::string& view) { return "indoubt:cdc:broken:" + view; }

Result<std::string> TextOf(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_NIL) return std::string();
  if (reply.type == REDIS_REPLY_STRING) return std::string(reply.str, reply.len);
  return Status(StatusCode::kRefused,
                fmt::format("Redis: {}", reply.type == REDIS_REPLY_ERROR
                                             ? std::string(reply.str, reply.len)
                                             : "a reply that is no string"));
}

Status Broken(const std::string& reason) {
  return Status(StatusCode::kCorrupt,
                fmt::format("a derived command failed and cannot be taken back ({}); empty the "
                            "sink, with its indoubt:cdc:* keys, and rebuild the view",
                            reason));
}

class RedisView : public View {
 public:
  explicit RedisView(ViewOptions options)
      : options_(std::move(options)),
        position_key_(RedisPositionKey(options_.name)),
        hold_key_(RedisHoldKey(options_.name)),
        broken_key_(BrokenKey(options_.name)) {}

  const std::string& name() const override { return options_.name; }

  Result<ViewPosition> Open() override {
    connection_.reset();
    INDOUBT_ASSIGN_OR_RETURN(auto connection, RedisConnection::Connect(options_.sink));
    // Watched before it is read: a late EXEC of a lost connection either shows in
    // the reading or makes our next EXEC fail. So does a reader's hold.
    INDOUBT_RETURN_IF_ERROR(connection->Ask({"WATCH", position_key_, hold_key_}).status());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr broken, connection->Ask({"GET", broken_key_}));
    INDOUBT_ASSIGN_OR_RETURN(const std::string reason, TextOf(*broken));
    if (!reason.empty()) return Broken(reason);
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                             connection->Ask({"GET", position_key_}));
    INDOUBT_ASSIGN_OR_RETURN(const std::string text, TextOf(*reply));
    INDOUBT_ASSIGN_OR_RETURN(const ViewPosition position, ViewPosition::Parse(text));
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr hold, connection->Ask({"GET", hold_key_}));
    INDOUBT_RETURN_IF_ERROR(TakeHold(*hold));
    connection_ = std::move(connection);
    expected_ = text;
    return position;
  }

  bool hold_changed() const override { return hold_changed_; }

  Result<std::optional<EventPosition>> Held() override {
    if (!connection_) return Status(StatusCode::kInternal, "the view is not open");
    if (!held_) return held_;  // as of the last write; a newer hold makes the next one fail
    Status status = LookAgain();
    if (!status.ok()) {
      connection_.reset();
      return status;
    }
    return held_;
  }

  Status Apply(const std::vector<LoggedEvent>& events, const ViewPosition& to) override {
    if (!connection_) return Status(StatusCode::kInternal, "the view is not open");
    std::vector<RedisCommand> commands;
    INDOUBT_RETURN_IF_ERROR(Derive(events, commands));
    commands.push_back({"SET", position_key_, to.ToString()});
    return Finish(Execute(commands, to.ToString()), to);
  }

  Status Begin() override {
    if (!connection_) return Status(StatusCode::kInternal, "the view is not open");
    refused_.clear();
    hold_changed_ = false;
    return connection_->Ask({"MULTI"}).status();
  }

  Status Add(const std::vector<LoggedEvent>& events) override {
    std::vector<RedisCommand> commands;
    INDOUBT_RETURN_IF_ERROR(Derive(events, commands));
    for (const RedisCommand& command : commands) {
      INDOUBT_RETURN_IF_ERROR(connection_->Append(command));
    }
    return DrainQueued(commands.size());
  }

  Status Commit(const ViewPosition& to) override {
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"SET", position_key_, to.ToString()}));
    INDOUBT_RETURN_IF_ERROR(AppendEnd());
    INDOUBT_RETURN_IF_ERROR(DrainQueued(1));
    // The names of a large transaction's commands are not kept for a message.
    return Finish(TakeEnd({}, to.ToString()), to);
  }

  Status Clear(const std::vector<std::string>& tables, const ViewPosition& to) override {
    if (!connection_) return Status(StatusCode::kInternal, "the view is not open");
    if (!options_.derivation.redis_keys) {
      return Status(StatusCode::kUnsupported,
                    "it must be derived anew, and its derivation does not say which keys are "
                    "its own; remove them, the view's indoubt:cdc:* keys included");
    }
    std::set<std::string> keys;
    for (const std::string& pattern : options_.derivation.redis_keys(tables)) {
      INDOUBT_RETURN_IF_ERROR(FindKeys(pattern, keys));
    }
    std::vector<RedisCommand> commands;
    for (const std::string& key : keys) commands.push_back({"DEL", key});
    commands.push_back({"SET", position_key_, to.ToString()});
    return Finish(Execute(commands, to.ToString()), to);
  }

 private:
  Status TakeHold(const redisReply& reply) {
    INDOUBT_ASSIGN_OR_RETURN(const std::string text, TextOf(reply));
    held_.reset();
    if (text.empty()) return Status::Ok();
    INDOUBT_ASSIGN_OR_RETURN(const ViewPosition hold, ViewPosition::Parse(text));
    held_ = hold.position;
    return Status::Ok();
  }

  Status LookAgain() {
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"UNWATCH"}));
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"WATCH", position_key_, hold_key_}));
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"GET", position_key_}));
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"GET", hold_key_}));
    INDOUBT_RETURN_IF_ERROR(connection_->Receive().status());
    INDOUBT_RETURN_IF_ERROR(connection_->Receive().status());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr position, connection_->Receive());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr hold, connection_->Receive());
    INDOUBT_ASSIGN_OR_RETURN(const std::string now, TextOf(*position));
    return now == expected_ ? TakeHold(*hold) : Moved();
  }

  static Status Moved() {
    return Status(StatusCode::kAborted,
                  "somebody else moved the view's position; one worker "
                  "at a time may feed a view");
  }

  Status FindKeys(const std::string& pattern, std::set<std::string>& keys) {
    std::string cursor = "0";
    do {
      INDOUBT_ASSIGN_OR_RETURN(
          const RedisReplyPtr reply,
          connection_->Ask({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"}));
      if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
        return Status(StatusCode::kInternal, "Redis: SCAN answered what is no answer to it");
      }
      INDOUBT_ASSIGN_OR_RETURN(cursor, TextOf(*reply->element[0]));
      for (size_t i = 0; i < reply->element[1]->elements; ++i) {
        INDOUBT_ASSIGN_OR_RETURN(std::string key, TextOf(*reply->element[1]->element[i]));
        keys.insert(std::move(key));
      }
    } while (cursor != "0");
    return Status::Ok();
  }

  Status Derive(const std::vector<LoggedEvent>& events, std::vector<RedisCommand>& commands) {
    for (const LoggedEvent& event : events) {
      INDOUBT_RETURN_IF_ERROR(ForEachRowChange(event, [&](const RowChange& change) -> Status {
        INDOUBT_ASSIGN_OR_RETURN(auto derived, options_.derivation.redis(change));
        for (RedisCommand& command : derived) {
          if (command.empty()) {
            return Status(StatusCode::kInvalidArgument, "the derivation gave an empty command");
          }
          commands.push_back(std::move(command));
        }
        return Status::Ok();
      }));
    }
    return Status::Ok();
  }

  Status Finish(Status status, const ViewPosition& to) {
    if (status.ok()) expected_ = to.ToString();
    if (!status.ok() && !hold_changed_) connection_.reset();
    return status;
  }

  // One flush: MULTI, the commands, EXEC, and the watch for the next time.
  Status Execute(const std::vector<RedisCommand>& commands, const std::string& position) {
    hold_changed_ = false;
    refused_.clear();
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"MULTI"}));
    for (const RedisCommand& command : commands) {
      INDOUBT_RETURN_IF_ERROR(connection_->Append(command));
    }
    INDOUBT_RETURN_IF_ERROR(AppendEnd());
    INDOUBT_RETURN_IF_ERROR(DrainQueued(commands.size() + 1));
    return TakeEnd(commands, position);
  }

  Status AppendEnd() {
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"EXEC"}));
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"WATCH", position_key_, hold_key_}));
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"GET", position_key_}));
    return connection_->Append({"GET", hold_key_});
  }

  // Keeps the first command that was not even queued.
  Status DrainQueued(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr queued, connection_->Receive());
      if (queued->type == REDIS_REPLY_ERROR && refused_.empty()) {
        refused_ = std::string(queued->str, queued->len);
      }
    }
    return Status::Ok();
  }

  Status TakeEnd(const std::vector<RedisCommand>& commands, const std::string& position) {
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr done, connection_->Receive());
    INDOUBT_RETURN_IF_ERROR(connection_->Receive().status());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr now, connection_->Receive());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr hold, connection_->Receive());
    INDOUBT_RETURN_IF_ERROR(TakeHold(*hold));
    return Judge(commands, *done, *now, refused_, position);
  }

  Status Judge(const std::vector<RedisCommand>& commands, const redisReply& done,
               const redisReply& now, const std::string& refused, const std::string& position) {
    if (done.type == REDIS_REPLY_ERROR) {  // EXECABORT: nothing was done
      return Status(StatusCode::kRefused,
                    fmt::format("Redis: {}",
                                refused.empty() ? std::string(done.str, done.len) : refused));
    }
    if (done.type != REDIS_REPLY_ARRAY) {
      INDOUBT_ASSIGN_OR_RETURN(const std::string text, TextOf(now));
      if (text != expected_) return Moved();
      hold_changed_ = true;
      return Status(StatusCode::kLocked, "a reader's hold came or went; nothing was done");
    }
    for (size_t i = 0; i < done.elements; ++i) {
      const redisReply& reply = *done.element[i];
      if (reply.type != REDIS_REPLY_ERROR) continue;
      const std::string reason =
          fmt::format("{}: {}", i < commands.size() ? commands[i][0] : "?",
                      std::string(reply.str, reply.len));
      const Status marked = connection_->Ask({"SET", broken_key_, reason}).status();
      return marked.ok() ? Broken(reason) : Broken(reason + "; " + marked.message());
    }
    INDOUBT_ASSIGN_OR_RETURN(const std::string text, TextOf(now));
    if (text == position) return Status::Ok();
    return Status(StatusCode::kAborted,
                  "the view's position moved by itself; one worker at a "
                  "time may feed a view");
  }

  const ViewOptions options_;
  const std::string position_key_;
  const std::string hold_key_;
  const std::string broken_key_;
  std::string expected_;               // the text at position_key_
  std::string refused_;                // the first command of a write that was not queued
  bool hold_changed_ = false;          // the last write failed for that alone
  std::optional<EventPosition> held_;  // a reader's hold, as of the last look
  std::unique_ptr<RedisConnection> connection_;
};

}  // namespace

std::string RedisPositionKey(const std::string& view) { return "indoubt:cdc:position:" + view; }
std::string RedisHoldKey(const std::string& view) { return "indoubt:cdc:hold:" + view; }

Result<std::unique_ptr<View>> MakeRedisView(const ViewOptions& options) {
  INDOUBT_RETURN_IF_ERROR(
      ParseRedisUri(options.sink).status().WithContext("view " + options.name));
  if (!options.derivation.redis) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("view {}: no derivation for Redis", options.name));
  }
  return std::unique_ptr<View>(std::make_unique<RedisView>(options));
}

Result<ViewPosition> ReadRedisPosition(const ViewOptions& options) {
  const cdc_internal::SigpipeBlocked no_signal;
  INDOUBT_ASSIGN_OR_RETURN(auto connection, RedisConnection::Connect(options.sink));
  INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                           connection->Ask({"GET", RedisPositionKey(options.name)}));
  INDOUBT_ASSIGN_OR_RETURN(const std::string text, TextOf(*reply));
  return ViewPosition::Parse(text);
}

Status ReadRedisMark(const ViewOptions& options) {
  const cdc_internal::SigpipeBlocked no_signal;
  INDOUBT_ASSIGN_OR_RETURN(auto connection, RedisConnection::Connect(options.sink));
  INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                           connection->Ask({"GET", BrokenKey(options.name)}));
  INDOUBT_ASSIGN_OR_RETURN(const std::string reason, TextOf(*reply));
  return reason.empty() ? Status::Ok() : Broken(reason);
}

}  // namespace indoubt
