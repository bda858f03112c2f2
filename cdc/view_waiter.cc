#include "cdc/view_waiter.h"

#include <thread>

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <unistd.h>

#include "cdc/sqlite_handle.h"
#include "cdc/view.h"
#include "cdc/views/redis_connection.h"

namespace indoubt {
namespace {

using cdc_internal::RedisConnection;
using cdc_internal::RedisReplyPtr;
using cdc_internal::SigpipeBlocked;
using cdc_internal::SqliteDatabase;
using cdc_internal::SqliteQuery;

// Only the sink knows, and it calls nobody.
constexpr std::chrono::milliseconds kBetweenLooks{1};

class RedisWaiter : public ViewWaiter {
 public:
  RedisWaiter(std::string view, std::unique_ptr<RedisConnection> connection)
      : key_("indoubt:cdc:position:" + view), connection_(std::move(connection)) {}

  Result<EventPosition> Position() override {
    const SigpipeBlocked no_signal;
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply, connection_->Ask({"GET", key_}));
    const std::string text =
        reply->type == REDIS_REPLY_STRING ? std::string(reply->str, reply->len) : "";
    INDOUBT_ASSIGN_OR_RETURN(const ViewPosition position, ViewPosition::Parse(text));
    return position.position;
  }

 private:
  const std::string key_;
  std::unique_ptr<RedisConnection> connection_;
};

class SqliteWaiter : public ViewWaiter {
 public:
  SqliteWaiter(std::string view, std::unique_ptr<SqliteDatabase> db)
      : view_(std::move(view)), db_(std::move(db)) {}

  Result<EventPosition> Position() override {
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery * query,
        db_->Cached("SELECT position FROM indoubt_cdc_position WHERE view = ?1"));
    query->BindText(1, view_);
    INDOUBT_ASSIGN_OR_RETURN(const bool found, query->Next());
    const std::string text = found ? query->Bytes(0) : "";
    query->Reset();  // the next look is at a newer state of the file
    INDOUBT_ASSIGN_OR_RETURN(const ViewPosition position, ViewPosition::Parse(text));
    return position.position;
  }

 private:
  const std::string view_;
  std::unique_ptr<SqliteDatabase> db_;
};

}  // namespace

Result<std::unique_ptr<ViewWaiter>> ViewWaiter::Connect(const ViewOptions& view) {
  if (view.kind == ViewKind::kRedis) {
    const SigpipeBlocked no_signal;
    INDOUBT_ASSIGN_OR_RETURN(auto connection,
                             RedisConnection::Connect(view.sink, view.sink_patience));
    return std::unique_ptr<ViewWaiter>(
        std::make_unique<RedisWaiter>(view.name, std::move(connection)));
  }
  // Read-only, it would not make the file; without it there is nothing to wait in.
  INDOUBT_ASSIGN_OR_RETURN(const ViewPosition position, ReadViewPosition(view));
  if (position.log_id.empty()) {
    return Status(StatusCode::kNotFound,
                  "its sink has nothing yet: no worker has run, or it is at the first "
                  "snapshot; `indoubt cdc run` is the worker");
  }
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(view.sink, SqliteDatabase::Mode::kReadOnly));
  return std::unique_ptr<ViewWaiter>(std::make_unique<SqliteWaiter>(view.name, std::move(db)));
}

Status ViewWaiter::WaitFor(Lsn token, TimePoint deadline) {
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const EventPosition position, Position());
    // Above 0 it is among the chunks of a snapshot, whose LSN holds for all of them.
    if (position.lsn >= token && position.ordinal == 0) return Status::Ok();
    if (SystemClock().Now() >= deadline) {
      return Status(StatusCode::kDeadlineExceeded,
                    fmt::format("the view is at {}, not yet at {}", position.lsn.ToString(),
                                token.ToString()));
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace indoubt
