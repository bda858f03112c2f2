#include "cdc/views/redis_view.h"

#include <map>
#include <set>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "cdc/row_turns.h"
#include "cdc/views/call_derivation.h"
#include "cdc/views/parked.h"
#include "cdc/views/redis_connection.h"
#include "cdc/views/redis_server.h"
#include "participants/redis/redis_uri.h"

namespace indoubt {
namespace {

using cdc_internal::RedisConnection;
using cdc_internal::RedisExecReply;
using cdc_internal::RedisReplyPtr;

std::string ParkedKey(const std::string& view) { return "indoubt:cdc:parked:" + view; }
std::string RetryKey(const std::string& view) { return "indoubt:cdc:retry:" + view; }
std::string BrokenKey(const std::string& view) { return "indoubt:cdc:broken:" + view; }

Result<std::string> TextOf(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_NIL) return std::string();
  if (reply.type == REDIS_REPLY_STRING) return std::string(reply.str, reply.len);
  return Status(StatusCode::kRefused,
                fmt::format("Redis: {}", reply.type == REDIS_REPLY_ERROR
                                             ? std::string(reply.str, reply.len)
                                             : "a reply that is no string"));
}

// The field of a parked event: in the order of its key as text, too.
std::string ParkedField(EventPosition position) {
  return fmt::format("{:016X}-{:010}", position.lsn.value, position.ordinal);
}

Result<std::vector<ParkedEvent>> ReadParked(RedisConnection& connection,
                                            const std::string& view) {
  INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                           connection.Ask({"HGETALL", ParkedKey(view)}));
  std::map<std::string, ParkedEvent> parked;
  for (size_t i = 0; i + 1 < reply->elements; i += 2) {
    INDOUBT_ASSIGN_OR_RETURN(const std::string field, TextOf(*reply->element[i]));
    INDOUBT_ASSIGN_OR_RETURN(const std::string bytes, TextOf(*reply->element[i + 1]));
    INDOUBT_ASSIGN_OR_RETURN(parked[field], cdc_internal::ParseParked(bytes));
  }
  std::vector<ParkedEvent> in_order;
  for (auto& [field, event] : parked) in_order.push_back(std::move(event));
  return in_order;
}

Status Broken(const std::string& reason) {
  return Status(StatusCode::kCorrupt,
                fmt::format("a derived command failed and cannot be taken back ({}); rebuild "
                            "the view (indoubt cdc rebuild)",
                            reason));
}

class RedisView : public View {
 public:
  explicit RedisView(ViewOptions options)
      : options_(std::move(options)),
        position_key_(RedisPositionKey(options_.name)),
        hold_key_(RedisHoldKey(options_.name)),
        parked_key_(ParkedKey(options_.name)),
        retry_key_(RetryKey(options_.name)),
        broken_key_(BrokenKey(options_.name)) {}

  const std::string& name() const override { return options_.name; }

  Result<ViewPosition> Open() override {
    connection_.reset();
    INDOUBT_ASSIGN_OR_RETURN(auto connection,
                             RedisConnection::Connect(options_.sink, options_.sink_patience));
    // Watched before it is read: a late EXEC of a lost connection either shows in
    // the reading or makes our next EXEC fail. So does a reader's hold.
    INDOUBT_RETURN_IF_ERROR(connection->Ask({"WATCH", position_key_, hold_key_}).status());
    INDOUBT_RETURN_IF_ERROR(cdc_internal::CheckRedisKeepsKeys(*connection));
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
    at_ = position;
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
    return Write(std::move(commands), to);
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
    return cdc_internal::NameWhatIsTooLong(DrainQueued(commands.size()), commands,
                                           options_.sink);
  }

  Status Commit(const ViewPosition& to) override {
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"SET", position_key_, to.ToString()}));
    INDOUBT_RETURN_IF_ERROR(AppendEnd());
    INDOUBT_RETURN_IF_ERROR(DrainQueued(1));
    // The names of a large transaction's commands are not kept for a message.
    return Finish(TakeEnd({}, to.ToString()), to);
  }

  Result<std::vector<ParkedEvent>> Parked() override {
    return ReadParked(*connection_, options_.name);
  }

  Status Park(const ParkedEvent& event, const ViewPosition& to) override {
    return Write(
        {{"HSET", parked_key_, ParkedField(event.position), cdc_internal::Serialize(event)}},
        to);
  }

  Status ApplyParked(const LoggedEvent& event) override {
    std::vector<RedisCommand> commands;
    INDOUBT_RETURN_IF_ERROR(Derive({event}, commands));
    commands.push_back({"HDEL", parked_key_, ParkedField(event.position)});
    return Write(std::move(commands), at_);
  }

  Result<bool> RetryAsked() override {
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply, connection_->Ask({"GET", retry_key_}));
    return reply->type != REDIS_REPLY_NIL;
  }

  Status EndRetry() override { return Write({{"DEL", retry_key_}}, at_); }

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
    commands.push_back({"DEL", parked_key_, retry_key_});
    return Write(std::move(commands), to);
  }

 private:
  // `commands` and the position, all or none.
  Status Write(std::vector<RedisCommand> commands, const ViewPosition& to) {
    if (!connection_) return Status(StatusCode::kInternal, "the view is not open");
    commands.push_back({"SET", position_key_, to.ToString()});
    const Status done = Execute(commands, to.ToString());
    return Finish(cdc_internal::NameWhatIsTooLong(done, commands, options_.sink), to);
  }

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
                  "the view's position was moved: by a rebuild, or by a second worker, of "
                  "which there may be none");
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
    cdc_internal::RowTurns turns;
    for (const LoggedEvent& event : events) {
      turns.Count(*event.transaction);
      INDOUBT_RETURN_IF_ERROR(ForEachRowChange(event, [&](const RowChange& change) -> Status {
        INDOUBT_ASSIGN_OR_RETURN(
            auto derived, cdc_internal::CallDerivation(options_.derivation.redis, change));
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
    if (status.ok()) {
      at_ = to;
      expected_ = to.ToString();
    } else if (!hold_changed_) {
      connection_.reset();
    }
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
    INDOUBT_ASSIGN_OR_RETURN(const RedisExecReply done, connection_->ReceiveExec());
    INDOUBT_RETURN_IF_ERROR(connection_->Receive().status());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr now, connection_->Receive());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr hold, connection_->Receive());
    INDOUBT_RETURN_IF_ERROR(TakeHold(*hold));
    return Judge(commands, done, *now, position);
  }

  Status Judge(const std::vector<RedisCommand>& commands, const RedisExecReply& done,
               const redisReply& now, const std::string& position) {
    if (!done.refused.empty()) {  // EXECABORT: nothing was done
      // "ERR" is of the command itself (unknown, or with too few arguments); what the server
      // cannot do at present (OOM, READONLY, MISCONF, ...) has a word of its own.
      return Status(
          refused_.starts_with("ERR ") ? StatusCode::kInvalidArgument : StatusCode::kRefused,
          fmt::format("Redis: {}", refused_.empty() ? done.refused : refused_));
    }
    if (!done.done) {
      INDOUBT_ASSIGN_OR_RETURN(const std::string text, TextOf(now));
      if (text != expected_) return Moved();
      hold_changed_ = true;
      return Status(StatusCode::kLocked, "a reader's hold came or went; nothing was done");
    }
    if (done.failed) {
      const std::string reason = fmt::format(
          "{}: {}", *done.failed < commands.size() ? commands[*done.failed][0] : "?",
          done.failed_reason);
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
  const std::string parked_key_;
  const std::string retry_key_;
  const std::string broken_key_;
  ViewPosition at_;                    // of the sink
  std::string expected_;               // the text at position_key_
  std::string refused_;                // the first command of a write that was not queued
  bool hold_changed_ = false;          // the last write failed for that alone
  std::optional<EventPosition> held_;  // a reader's hold, as of the last look
  std::unique_ptr<RedisConnection> connection_;
};

}  // namespace

std::string RedisPositionKey(const std::string& view) { return "indoubt:cdc:position:" + view; }
std::string RedisHoldKey(const std::string& view) { return "indoubt:cdc:hold:" + view; }
std::vector<std::string> RedisStateKeys(const std::string& view) {
  return {ParkedKey(view), RetryKey(view), BrokenKey(view)};
}

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
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           RedisConnection::Connect(options.sink, options.sink_patience));
  INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                           connection->Ask({"GET", RedisPositionKey(options.name)}));
  INDOUBT_ASSIGN_OR_RETURN(const std::string text, TextOf(*reply));
  return ViewPosition::Parse(text);
}

Status ReadRedisMark(const ViewOptions& options) {
  const cdc_internal::SigpipeBlocked no_signal;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           RedisConnection::Connect(options.sink, options.sink_patience));
  INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                           connection->Ask({"GET", BrokenKey(options.name)}));
  INDOUBT_ASSIGN_OR_RETURN(const std::string reason, TextOf(*reply));
  return reason.empty() ? Status::Ok() : Broken(reason);
}

Result<std::vector<ParkedEvent>> ReadRedisParked(const ViewOptions& options) {
  const cdc_internal::SigpipeBlocked no_signal;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           RedisConnection::Connect(options.sink, options.sink_patience));
  return ReadParked(*connection, options.name);
}

Status AskRedisRetry(const ViewOptions& options) {
  const cdc_internal::SigpipeBlocked no_signal;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           RedisConnection::Connect(options.sink, options.sink_patience));
  return connection->Ask({"SET", RetryKey(options.name), "1"}).status();
}

Result<bool> RedisRetryIsAsked(const ViewOptions& options) {
  const cdc_internal::SigpipeBlocked no_signal;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           RedisConnection::Connect(options.sink, options.sink_patience));
  INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                           connection->Ask({"GET", RetryKey(options.name)}));
  return reply->type != REDIS_REPLY_NIL;
}

}  // namespace indoubt
