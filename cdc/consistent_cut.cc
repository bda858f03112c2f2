#include "cdc/consistent_cut.h"

#include <thread>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "base/gid.h"
#include "cdc/sqlite_handle.h"
#include "cdc/view.h"
#include "cdc/views/redis_connection.h"
#include "cdc/views/redis_view.h"

namespace indoubt {
namespace {

using cdc_internal::RedisConnection;
using cdc_internal::RedisReplyPtr;
using cdc_internal::SigpipeBlocked;
using cdc_internal::SqliteDatabase;
using cdc_internal::SqliteQuery;

constexpr std::chrono::milliseconds kBetweenLooks{1};

Value ToValue(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_NIL:
      return {};
    case REDIS_REPLY_INTEGER:
      return Value{static_cast<int64_t>(reply.integer)};
    case REDIS_REPLY_ARRAY: {
      std::vector<Value> list;
      for (size_t i = 0; i < reply.elements; ++i) list.push_back(ToValue(*reply.element[i]));
      return Value{std::move(list)};
    }
    default:
      return Value{std::string(reply.str, reply.len)};
  }
}

std::string TextOf(const Value& value) {
  const auto* text = std::get_if<std::string>(&value.held);
  return text == nullptr ? "" : *text;
}

// The SQLite side: a read transaction that stays at one state of the file.
class PinnedFile {
 public:
  explicit PinnedFile(const ViewOptions& options) : options_(options) {}

  Status Open() {
    INDOUBT_ASSIGN_OR_RETURN(
        db_, SqliteDatabase::Open(options_.sink, SqliteDatabase::Mode::kReadOnly));
    return Status::Ok();
  }

  /// Goes on to the file's present state and stays there; the view's position in it.
  Result<ViewPosition> Pin() {
    if (pinned_) INDOUBT_RETURN_IF_ERROR(db_->Execute("ROLLBACK"));
    pinned_ = false;
    INDOUBT_RETURN_IF_ERROR(db_->Execute("BEGIN"));
    pinned_ = true;
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery * query,
        db_->Cached("SELECT position FROM indoubt_cdc_position WHERE view = ?1"));
    query->BindText(1, options_.name);
    INDOUBT_ASSIGN_OR_RETURN(const bool found, query->Next());
    const std::string text = found ? query->Bytes(0) : "";
    query->Reset();
    return ViewPosition::Parse(text);
  }

  SqliteDatabase& db() { return *db_; }

 private:
  const ViewOptions options_;
  std::unique_ptr<SqliteDatabase> db_;
  bool pinned_ = false;
};

// The Redis side: the hold, and reads that count only while it is ours.
class HeldView {
 public:
  explicit HeldView(const ViewOptions& options)
      : options_(options),
        hold_key_(RedisHoldKey(options.name)),
        position_key_(RedisPositionKey(options.name)),
        token_(LogId::Random().text()) {}
  ~HeldView() {
    // What is left of it runs out by itself.
    const Status ignored = connection_ ? Release() : Status::Ok();
    static_cast<void>(ignored);
  }

  Status Open() {
    INDOUBT_ASSIGN_OR_RETURN(connection_, RedisConnection::Connect(options_.sink));
    return Status::Ok();
  }

  /// Asks the worker to stop at `position`; false while somebody else's cut stands.
  Result<bool> Acquire(EventPosition position) {
    const std::string hold = Text(position);
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                             connection_->Ask({"SET", hold_key_, hold, "NX", "PX", Millis()}));
    if (reply->type == REDIS_REPLY_NIL) return false;
    held_ = hold;
    return true;
  }

  /// Moves our hold to `position`. kAborted when it has run out.
  Status Move(EventPosition position) {
    INDOUBT_ASSIGN_OR_RETURN(const bool moved, Replace(Text(position)));
    return moved ? Status::Ok() : RunOut();
  }

  /// Lets the view go on, unless it has gone on already.
  Status Release() {
    if (held_.empty()) return Status::Ok();
    const auto released = Replace("");
    held_.clear();
    return released.status();
  }

  Result<ViewPosition> Position() {
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                             connection_->Ask({"GET", position_key_}));
    return ViewPosition::Parse(TextOf(ToValue(*reply)));
  }

  /// The replies of `commands` with those of hold and position, at one moment.
  Result<std::vector<Value>> Read(const std::vector<RedisCommand>& commands,
                                  const ViewPosition& at) {
    INDOUBT_ASSIGN_OR_RETURN(auto values, Execute(commands));
    const std::string position = TextOf(values.back());
    values.pop_back();
    const std::string hold = TextOf(values.back());
    values.pop_back();
    if (position != at.ToString() || hold != held_) return RunOut();
    return values;
  }

 private:
  static std::string Millis() { return std::to_string(ConsistentCut::kHoldFor.count()); }
  static Status RunOut() {
    return Status(StatusCode::kAborted,
                  fmt::format("the cut was held longer than {} ms and does not stand any more; "
                              "take a new one",
                              ConsistentCut::kHoldFor.count()));
  }
  std::string Text(EventPosition position) const {
    return ViewPosition{token_, position}.ToString();
  }

  Result<std::vector<Value>> Execute(std::vector<RedisCommand> commands) {
    commands.push_back({"GET", hold_key_});
    commands.push_back({"GET", position_key_});
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"MULTI"}));
    for (const RedisCommand& command : commands) {
      INDOUBT_RETURN_IF_ERROR(connection_->Append(command));
    }
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"EXEC"}));
    std::string refused;
    for (size_t i = 0; i < commands.size() + 1; ++i) {
      INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr queued, connection_->Receive());
      if (queued->type == REDIS_REPLY_ERROR) refused = std::string(queued->str, queued->len);
    }
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr done, connection_->Receive());
    if (done->type != REDIS_REPLY_ARRAY || done->elements != commands.size()) {
      return Status(StatusCode::kInvalidArgument, "Redis: " + refused);
    }
    std::vector<Value> values;
    for (size_t i = 0; i < done->elements; ++i) {
      const redisReply& reply = *done->element[i];
      if (reply.type == REDIS_REPLY_ERROR) {
        return Status(StatusCode::kInvalidArgument,
                      "Redis: " + std::string(reply.str, reply.len));
      }
      values.push_back(ToValue(reply));
    }
    return values;
  }

  /// Replaces our hold, or removes it ("" for `next`); false when it is not ours any more.
  Result<bool> Replace(const std::string& next) {
    INDOUBT_RETURN_IF_ERROR(connection_->Ask({"WATCH", hold_key_}).status());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr now, connection_->Ask({"GET", hold_key_}));
    if (TextOf(ToValue(*now)) != held_) {
      INDOUBT_RETURN_IF_ERROR(connection_->Ask({"UNWATCH"}).status());
      return false;
    }
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"MULTI"}));
    INDOUBT_RETURN_IF_ERROR(connection_->Append(
        next.empty() ? RedisCommand{"DEL", hold_key_}
                     : RedisCommand{"SET", hold_key_, next, "PX", Millis()}));
    INDOUBT_RETURN_IF_ERROR(connection_->Append({"EXEC"}));
    INDOUBT_RETURN_IF_ERROR(connection_->Receive().status());
    INDOUBT_RETURN_IF_ERROR(connection_->Receive().status());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr done, connection_->Receive());
    if (done->type != REDIS_REPLY_ARRAY) return false;
    held_ = next;
    return true;
  }

  const ViewOptions options_;
  const std::string hold_key_, position_key_, token_;
  std::unique_ptr<RedisConnection> connection_;
  std::string held_;  // our hold's text; empty: we have none
};

}  // namespace

class ConsistentCut::Impl {
 public:
  Impl(const ViewOptions& redis, const ViewOptions& sqlite) : redis_(redis), sqlite_(sqlite) {}

  Status Take(TimePoint deadline, Lsn at_least) {
    const SigpipeBlocked no_signal;
    INDOUBT_RETURN_IF_ERROR(redis_.Open());
    INDOUBT_RETURN_IF_ERROR(sqlite_.Open());
    for (;;) {
      const Status tried = Try(deadline, at_least);
      // Where a sink took longer than a hold lasts, the cut did not come about.
      if (tried.code() != StatusCode::kAborted || SystemClock().Now() >= deadline) return tried;
      INDOUBT_RETURN_IF_ERROR(redis_.Release());
    }
  }

  const ViewPosition& at() const { return at_; }
  HeldView& redis() { return redis_; }
  PinnedFile& sqlite() { return sqlite_; }

 private:
  Status Try(TimePoint deadline, Lsn at_least) {
    INDOUBT_RETURN_IF_ERROR(PinAtLeast({at_least, 0}, deadline));
    for (;;) {
      INDOUBT_ASSIGN_OR_RETURN(const bool ours, redis_.Acquire(at_.position));
      if (ours) break;
      INDOUBT_RETURN_IF_ERROR(Pause(deadline, "another cut of the Redis view to end"));
    }
    // From here on it does not go beyond where we are, or where it is already.
    INDOUBT_ASSIGN_OR_RETURN(const ViewPosition redis, redis_.Position());
    if (redis.position > at_.position) {
      INDOUBT_RETURN_IF_ERROR(PinAtLeast(redis.position, deadline));
      INDOUBT_RETURN_IF_ERROR(redis_.Move(at_.position));
    }
    return AwaitRedis(deadline);
  }

  static Status Pause(TimePoint deadline, std::string_view what) {
    if (SystemClock().Now() >= deadline) {
      return Status(StatusCode::kDeadlineExceeded, fmt::format("waited for {}", what));
    }
    std::this_thread::sleep_for(kBetweenLooks);
    return Status::Ok();
  }

  // Not in the midst of a snapshot's chunks (ordinal above 0): those have one LSN.
  Status PinAtLeast(EventPosition position, TimePoint deadline) {
    for (;;) {
      INDOUBT_ASSIGN_OR_RETURN(at_, sqlite_.Pin());
      if (!at_.log_id.empty() && at_.position >= position && at_.position.ordinal == 0) {
        return Status::Ok();
      }
      INDOUBT_RETURN_IF_ERROR(
          Pause(deadline, fmt::format("the SQLite view to reach {}", position.lsn.ToString())));
    }
  }

  Status AwaitRedis(TimePoint deadline) {
    for (;;) {
      INDOUBT_ASSIGN_OR_RETURN(const ViewPosition redis, redis_.Position());
      if (redis == at_) return Status::Ok();
      if (!redis.log_id.empty() && redis.log_id != at_.log_id) {
        return Status(StatusCode::kRefused,
                      "the two views are derived from different event logs");
      }
      if (redis.position > at_.position) {
        return Status(StatusCode::kAborted,
                      "the Redis view has passed the cut; take a new one");
      }
      INDOUBT_RETURN_IF_ERROR(Pause(
          deadline, fmt::format("the Redis view to reach {}", at_.position.lsn.ToString())));
    }
  }

  HeldView redis_;
  PinnedFile sqlite_;
  ViewPosition at_;
};

ConsistentCut::ConsistentCut(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ConsistentCut::~ConsistentCut() {
  const SigpipeBlocked no_signal;
  impl_.reset();
}

Result<std::unique_ptr<ConsistentCut>> ConsistentCut::Take(const ViewOptions& redis,
                                                           const ViewOptions& sqlite,
                                                           TimePoint deadline, Lsn at_least) {
  if (redis.kind != ViewKind::kRedis || sqlite.kind == ViewKind::kRedis) {
    return Status(StatusCode::kInvalidArgument,
                  "a cut is over a Redis view and a SQLite or search view");
  }
  auto impl = std::make_unique<Impl>(redis, sqlite);
  INDOUBT_RETURN_IF_ERROR(impl->Take(deadline, at_least));
  return std::unique_ptr<ConsistentCut>(new ConsistentCut(std::move(impl)));
}

Lsn ConsistentCut::lsn() const { return impl_->at().position.lsn; }

Result<std::vector<Value>> ConsistentCut::ReadRedis(const std::vector<RedisCommand>& commands) {
  const SigpipeBlocked no_signal;
  return impl_->redis().Read(commands, impl_->at());
}

Result<std::vector<std::vector<Value>>> ConsistentCut::ReadSqlite(const SqlStatement& select) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query, impl_->sqlite().db().Prepare(select.text));
  int index = 0;
  for (const Value& value : select.params) {
    INDOUBT_RETURN_IF_ERROR(query.BindValue(++index, value));
  }
  std::vector<std::vector<Value>> rows;
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, query.Next());
    if (!more) return rows;
    rows.push_back(query.Row());
  }
}

}  // namespace indoubt
