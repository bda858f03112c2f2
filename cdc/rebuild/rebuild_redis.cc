// Both versions live in logical databases that were empty, under the very keys that the view
// has; the swap moves the new one's keys over in one MULTI/EXEC, which no reader can look into.
#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>
#include <thread>

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "cdc/rebuild/rebuild_sink.h"
#include "cdc/views/redis_connection.h"
#include "cdc/views/redis_view.h"
#include "participants/redis/redis_uri.h"

namespace indoubt::cdc_internal {
namespace {

constexpr size_t kBatch = 500;  // commands, or keys of one command, in flight
constexpr size_t kMaxShown = 5;
constexpr int kUsualDatabases = 16;
constexpr int kAttempts = 5;
// The old version stands still for no longer than this.
constexpr std::chrono::milliseconds kHold{10'000};
constexpr std::chrono::milliseconds kBetweenLooks{5};
// What the text of a rebuild's hold begins with.
constexpr char kHolder[] = "rebuild-";
// Of a database that is ours, whose rebuild it belongs to.
constexpr char kMark[] = "indoubt:cdc:rebuild";
// Stands in the new version's database once its keys have been moved out.
constexpr char kSwapped[] = "indoubt:cdc:swapped";

constexpr char kDeleteIfEqual[] =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end";

// Type and content of each key, whatever the server's encoding and order of it.
constexpr char kDigest[] = R"(
local digests = {}
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local parts
  if kind == 'hash' then
    local flat = redis.call('HGETALL', key)
    parts = {}
    for i = 1, #flat, 2 do
      parts[#parts + 1] = #flat[i] .. ':' .. flat[i] .. '=' .. flat[i + 1]
    end
    table.sort(parts)
  elseif kind == 'set' then
    parts = redis.call('SMEMBERS', key)
    table.sort(parts)
  elseif kind == 'list' then
    parts = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'zset' then
    parts = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'string' then
    parts = {redis.call('GET', key)}
  else
    parts = {redis.call('DUMP', key) or ''}
  end
  for i, part in ipairs(parts) do parts[i] = #part .. ':' .. part end
  digests[#digests + 1] = kind .. ' ' .. redis.sha1hex(table.concat(parts))
end
return digests)";

std::string TextOf(const redisReply& reply) {
  return reply.str == nullptr ? std::string() : std::string(reply.str, reply.len);
}

bool IsOurs(const std::string& key) { return key.starts_with("indoubt:cdc:"); }

using KeyBatch = std::function<Status(const std::vector<std::string>&)>;

// All keys of the selected database that match; a key may come more than once.
Status ScanKeys(RedisConnection& connection, const std::string& pattern,
                const KeyBatch& visit) {
  std::string cursor = "0";
  do {
    INDOUBT_ASSIGN_OR_RETURN(
        const RedisReplyPtr reply,
        connection.Ask({"SCAN", cursor, "MATCH", pattern, "COUNT", std::to_string(kBatch)}));
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
      return Status(StatusCode::kInternal, "Redis: SCAN answered what is no answer to it");
    }
    cursor = TextOf(*reply->element[0]);
    std::vector<std::string> keys;
    for (size_t i = 0; i < reply->element[1]->elements; ++i) {
      keys.push_back(TextOf(*reply->element[1]->element[i]));
    }
    if (!keys.empty()) INDOUBT_RETURN_IF_ERROR(visit(keys));
  } while (cursor != "0");
  return Status::Ok();
}

using Digests = std::map<std::string, std::string>;

Result<Digests> ReadDigests(RedisConnection& connection) {
  Digests digests;
  INDOUBT_RETURN_IF_ERROR(
      ScanKeys(connection, "*", [&](const std::vector<std::string>& found) -> Status {
        std::vector<std::string> command{"EVAL", kDigest, ""};
        for (const std::string& key : found) {
          if (!IsOurs(key)) command.push_back(key);
        }
        const size_t count = command.size() - 3;
        if (count == 0) return Status::Ok();
        command[2] = std::to_string(count);
        INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply, connection.Ask(command));
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count) {
          return Status(StatusCode::kInternal, "Redis: a script answered too little");
        }
        for (size_t i = 0; i < count; ++i) {
          digests[command[i + 3]] = TextOf(*reply->element[i]);
        }
        return Status::Ok();
      }));
  return digests;
}

class RedisRebuildSink : public RebuildSink {
 public:
  RedisRebuildSink(ViewOptions view, std::vector<std::string> tables, Duration patience)
      : view_(std::move(view)), tables_(std::move(tables)), patience_(patience) {}

  Status Prepare() override {
    if (!view_.derivation.redis_keys) {
      return Status(StatusCode::kUnsupported,
                    "its derivation does not say which Redis keys are its own, so the old "
                    "version's cannot be told from others'");
    }
    INDOUBT_ASSIGN_OR_RETURN(const RedisAddress address, ParseRedisUri(view_.sink));
    live_ = address.database;
    mark_ = fmt::format("{} of database {}", view_.name, live_);
    INDOUBT_ASSIGN_OR_RETURN(connection_,
                             RedisConnection::Connect(view_.sink, view_.sink_patience));
    INDOUBT_RETURN_IF_ERROR(DropLeftHold());
    INDOUBT_ASSIGN_OR_RETURN(const int databases, CountDatabases());
    size_t taken = 0;
    for (int database = databases - 1; database >= 0; --database) {
      if (database == live_) continue;
      INDOUBT_ASSIGN_OR_RETURN(const bool ours, Take(database, taken < places_.size()));
      if (ours && taken < places_.size()) places_[taken++] = database;
    }
    if (taken == places_.size()) return Select(live_);
    for (size_t i = 0; i < taken; ++i) INDOUBT_RETURN_IF_ERROR(Empty(places_[i]));
    return Status(StatusCode::kUnsupported,
                  fmt::format("it needs two empty databases of the Redis server beside {}; "
                              "there are {} (configuration `databases`), {} of them empty",
                              live_, databases, taken));
  }

  ViewOptions NewVersion() const override { return At(places_[0]); }
  ViewOptions Proof() const override { return At(places_[1]); }

  Result<VersionsCompared> Compare() override {
    INDOUBT_RETURN_IF_ERROR(Select(places_[0]));
    INDOUBT_ASSIGN_OR_RETURN(const Digests ours, ReadDigests(*connection_));
    INDOUBT_RETURN_IF_ERROR(Select(places_[1]));
    INDOUBT_ASSIGN_OR_RETURN(const Digests theirs, ReadDigests(*connection_));
    INDOUBT_RETURN_IF_ERROR(Select(live_));
    VersionsCompared result;
    result.entries = ours.size();
    const auto differs = [&](const std::string& key, const char* how) {
      if (result.differing.size() < kMaxShown) {
        result.differing.push_back(key.substr(0, 120) + ": " + how);
      }
    };
    for (const auto& [key, digest] : ours) {
      const auto other = theirs.find(key);
      if (other == theirs.end()) {
        differs(key, "not in the source");
      } else if (other->second != digest) {
        differs(key, "another value than from the source");
      }
    }
    for (const auto& [key, digest] : theirs) {
      if (!ours.contains(key)) differs(key, "in the source alone");
    }
    return result;
  }

  Result<ViewPosition> Swap(const std::string& log_id, const CatchUp& catch_up) override {
    for (int attempt = 1;; ++attempt) {
      auto swapped = TrySwap(log_id, catch_up);
      if (swapped || swapped.error().code() != StatusCode::kAborted || attempt == kAttempts) {
        return swapped;
      }
    }
  }

  Status Remove() override {
    for (const int place : places_) INDOUBT_RETURN_IF_ERROR(Empty(place));
    return Select(live_);
  }

 private:
  ViewOptions At(int database) const {
    ViewOptions options = view_;
    options.sink = WithDatabase(database);
    return options;
  }

  std::string WithDatabase(int database) const {
    constexpr std::string_view kUnix = "unix://", kTcp = "redis://";
    if (view_.sink.starts_with(kUnix)) {
      return fmt::format("{}?db={}", view_.sink.substr(0, view_.sink.find('?')), database);
    }
    return fmt::format("{}/{}", view_.sink.substr(0, view_.sink.find('/', kTcp.size())),
                       database);
  }

  Status Select(int database) {
    return connection_->Ask({"SELECT", std::to_string(database)}).status();
  }

  Result<int> CountDatabases() {
    const auto reply = connection_->Ask({"CONFIG", "GET", "databases"});
    // A user may well not be allowed to ask; a lost connection is another matter.
    if (!reply && reply.error().code() == StatusCode::kRefused) return kUsualDatabases;
    if (!reply) return reply.error();
    int count = 0;
    if ((*reply)->elements == 2) {
      const std::string text = TextOf(*(*reply)->element[1]);
      std::from_chars(text.data(), text.data() + text.size(), count);
    }
    return count > 0 ? count : kUsualDatabases;
  }

  // Makes it ours, and empty, if it is our leftover or, when `wanted`, empty.
  Result<bool> Take(int database, bool wanted) {
    INDOUBT_RETURN_IF_ERROR(Select(database));
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr mark, connection_->Ask({"GET", kMark}));
    if (TextOf(*mark) == mark_) {
      INDOUBT_RETURN_IF_ERROR(Empty(database));
      if (!wanted) return false;
    }
    INDOUBT_ASSIGN_OR_RETURN(RedisReplyPtr size, connection_->Ask({"DBSIZE"}));
    if (!wanted || size->integer != 0) return false;
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr set,
                             connection_->Ask({"SET", kMark, mark_, "NX"}));
    if (set->type == REDIS_REPLY_NIL) return false;
    INDOUBT_ASSIGN_OR_RETURN(size, connection_->Ask({"DBSIZE"}));
    if (size->integer == 1) return true;
    INDOUBT_RETURN_IF_ERROR(connection_->Ask({"DEL", kMark}).status());  // somebody came along
    return false;
  }

  // Removes all from one that is ours.
  Status Empty(int database) {
    INDOUBT_RETURN_IF_ERROR(Select(database));
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr mark, connection_->Ask({"GET", kMark}));
    if (TextOf(*mark) != mark_) return Status::Ok();
    return connection_->Ask({"FLUSHDB", "ASYNC"}).status();
  }

  // Of a rebuild that was killed: no other runs beside this one.
  Status DropLeftHold() {
    const std::string key = RedisHoldKey(view_.name);
    INDOUBT_RETURN_IF_ERROR(connection_->Ask({"WATCH", key}).status());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr hold, connection_->Ask({"GET", key}));
    if (!TextOf(*hold).starts_with(kHolder)) return connection_->Ask({"UNWATCH"}).status();
    INDOUBT_RETURN_IF_ERROR(connection_->Ask({"MULTI"}).status());
    INDOUBT_RETURN_IF_ERROR(connection_->Ask({"DEL", key}).status());
    return connection_->Ask({"EXEC"}).status();
  }

  // Stops the old version where it is, by the hold of consistent cuts. Returns where.
  Result<ViewPosition> HoldOld() {
    const TimePoint deadline = SystemClock().Now() + patience_;
    for (;;) {
      INDOUBT_ASSIGN_OR_RETURN(const ViewPosition at, OldPosition());
      const ViewPosition hold{fmt::format("{}{}", kHolder, getpid()), at.position};
      hold_ = hold.ToString();
      INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr held,
                               connection_->Ask({"SET", RedisHoldKey(view_.name), hold_, "NX",
                                                 "PX", std::to_string(kHold.count())}));
      if (held->type != REDIS_REPLY_NIL) break;
      if (SystemClock().Now() >= deadline) {
        return Status(StatusCode::kDeadlineExceeded,
                      "a reader's consistent cut holds the old version all the time");
      }
      std::this_thread::sleep_for(kBetweenLooks);
    }
    // An EXEC that was given up may still come to the server: not after the new version was
    // removed, with which its mark goes. The hold would not do, for it may run out before a
    // swap that nobody has disturbed.
    INDOUBT_RETURN_IF_ERROR(Select(places_[0]));
    INDOUBT_RETURN_IF_ERROR(connection_->Ask({"WATCH", kMark}).status());
    INDOUBT_RETURN_IF_ERROR(Select(live_));
    INDOUBT_RETURN_IF_ERROR(connection_->Ask({"WATCH", RedisPositionKey(view_.name)}).status());
    return OldPosition();  // a write may have come before the hold, and none after
  }

  Result<ViewPosition> OldPosition() {
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply,
                             connection_->Ask({"GET", RedisPositionKey(view_.name)}));
    return ViewPosition::Parse(TextOf(*reply));
  }

  // Ends our hold, wherever a swap failed. Its error concerns nobody: the hold runs out.
  Status LetGo(Status why) {
    for (const RedisCommand& command :
         {RedisCommand{"UNWATCH"}, {"SELECT", std::to_string(live_)}}) {
      if (!connection_->Ask(command)) return why;
    }
    const auto gone =
        connection_->Ask({"EVAL", kDeleteIfEqual, "1", RedisHoldKey(view_.name), hold_});
    return gone ? why : why.WithContext("(its hold of the old version runs out by itself)");
  }

  Result<ViewPosition> TrySwap(const std::string& log_id, const CatchUp& catch_up) {
    INDOUBT_ASSIGN_OR_RETURN(const ViewPosition before, HoldOld());
    const auto to = catch_up(before.log_id == log_id ? before.position : EventPosition{});
    if (!to) return LetGo(to.error());
    std::vector<std::string> old_keys, new_keys;
    Status status = FindKeys(old_keys, new_keys);
    if (!status.ok()) return LetGo(status);
    status = Exchange(old_keys, new_keys, *to);
    if (!status.ok()) return LetGo(status);
    return *to;
  }

  // The new version's are looked up on a connection of their own: this one is watching.
  Status FindKeys(std::vector<std::string>& old_keys, std::vector<std::string>& new_keys) {
    for (const std::string& pattern : view_.derivation.redis_keys(tables_)) {
      INDOUBT_RETURN_IF_ERROR(
          ScanKeys(*connection_, pattern, [&](const std::vector<std::string>& found) {
            old_keys.insert(old_keys.end(), found.begin(), found.end());
            return Status::Ok();
          }));
    }
    INDOUBT_ASSIGN_OR_RETURN(
        auto other, RedisConnection::Connect(WithDatabase(places_[0]), view_.sink_patience));
    INDOUBT_RETURN_IF_ERROR(ScanKeys(*other, "*", [&](const std::vector<std::string>& found) {
      for (const std::string& key : found) {
        if (!IsOurs(key)) new_keys.push_back(key);
      }
      return Status::Ok();
    }));
    std::sort(new_keys.begin(), new_keys.end());  // SCAN may give one twice
    new_keys.erase(std::unique(new_keys.begin(), new_keys.end()), new_keys.end());
    return Status::Ok();
  }

  // Queued in MULTI, bounded in what is in flight.
  Status Queue(const RedisCommand& command) {
    INDOUBT_RETURN_IF_ERROR(connection_->Append(command));
    if (++in_flight_ < kBatch) return Status::Ok();
    return DrainQueued();
  }
  Status DrainQueued() {
    Status refused;
    for (; in_flight_ > 0; --in_flight_) {
      INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr reply, connection_->Receive());
      if (reply->type == REDIS_REPLY_ERROR && refused.ok()) {
        refused = Status(StatusCode::kRefused, "Redis: " + TextOf(*reply));
      }
    }
    return refused;
  }

  Status QueueRemovals(const std::vector<std::string>& keys) {
    for (size_t i = 0; i < keys.size(); i += kBatch) {
      RedisCommand command{"UNLINK"};
      command.insert(command.end(), keys.begin() + static_cast<ptrdiff_t>(i),
                     keys.begin() + static_cast<ptrdiff_t>(std::min(i + kBatch, keys.size())));
      INDOUBT_RETURN_IF_ERROR(Queue(command));
    }
    return Status::Ok();
  }

  Status QueueAll(const std::vector<std::string>& old_keys,
                  const std::vector<std::string>& new_keys, const ViewPosition& to) {
    INDOUBT_RETURN_IF_ERROR(connection_->Ask({"MULTI"}).status());
    INDOUBT_RETURN_IF_ERROR(QueueRemovals(old_keys));
    INDOUBT_RETURN_IF_ERROR(QueueRemovals(new_keys));
    INDOUBT_RETURN_IF_ERROR(Queue({"SELECT", std::to_string(places_[0])}));
    INDOUBT_RETURN_IF_ERROR(Queue({"SET", kSwapped, mark_}));
    for (const std::string& key : new_keys) {
      INDOUBT_RETURN_IF_ERROR(Queue({"MOVE", key, std::to_string(live_)}));
    }
    INDOUBT_RETURN_IF_ERROR(Queue({"SELECT", std::to_string(live_)}));
    RedisCommand own{"DEL", RedisHoldKey(view_.name)};
    for (const std::string& key : RedisStateKeys(view_.name)) own.push_back(key);
    INDOUBT_RETURN_IF_ERROR(Queue(own));
    INDOUBT_RETURN_IF_ERROR(Queue({"SET", RedisPositionKey(view_.name), to.ToString()}));
    INDOUBT_RETURN_IF_ERROR(DrainQueued());
    return HitFailPoint("cdc_rebuild_swapping", view_.name);
  }

  Status Exchange(const std::vector<std::string>& old_keys,
                  const std::vector<std::string>& new_keys, const ViewPosition& to) {
    const Status queued = QueueAll(old_keys, new_keys, to);
    if (!queued.ok()) {
      // So that nothing of it can happen; a lost connection's is discarded by the server.
      const Status discarded = connection_->Ask({"DISCARD"}).status();
      return discarded.ok() ? queued : queued.WithContext("(nothing was swapped)");
    }
    const auto done = connection_->Ask({"EXEC"});
    if (!done) return AfterLostReply(done.error());
    if ((*done)->type != REDIS_REPLY_ARRAY) {
      return Status(StatusCode::kAborted,
                    "the old version went on although it was held; nothing was swapped");
    }
    return CheckMoved(**done, new_keys.size());
  }

  // The swap itself left kSwapped in the new version's database. One that did not yet happen
  // will not any more: it watches what is written here.
  Status AfterLostReply(const Status& lost) {
    INDOUBT_ASSIGN_OR_RETURN(connection_,
                             RedisConnection::Connect(view_.sink, view_.sink_patience));
    INDOUBT_RETURN_IF_ERROR(Select(places_[0]));
    INDOUBT_RETURN_IF_ERROR(connection_->Ask({"SET", kMark, mark_}).status());
    INDOUBT_ASSIGN_OR_RETURN(const RedisReplyPtr swapped,
                             connection_->Ask({"EXISTS", kSwapped}));
    INDOUBT_RETURN_IF_ERROR(Select(live_));
    return swapped->integer == 1 ? Status::Ok() : lost;
  }

  // What Redis cannot take back: nobody but us may have been in the new version's database.
  Status CheckMoved(const redisReply& replies, size_t expected) {
    size_t moved = 0;
    const size_t last_moves = replies.elements - 3;  // SELECT, DEL and SET come after
    for (size_t i = last_moves - expected; i < last_moves; ++i) {
      moved +=
          replies.element[i]->type == REDIS_REPLY_INTEGER && replies.element[i]->integer == 1
              ? 1
              : 0;
    }
    if (moved == expected) return Status::Ok();
    return Status(StatusCode::kCorrupt,
                  fmt::format("only {} of {} keys could be moved out of database {}: somebody "
                              "else used it; rebuild the view again",
                              moved, expected, places_[0]));
  }

  const ViewOptions view_;
  const std::vector<std::string> tables_;
  const Duration patience_;
  int live_ = 0;  // the database of the view
  std::string mark_;
  std::array<int, 2> places_{-1, -1};  // of the new version and of the proof
  std::string hold_;                   // our hold's text
  size_t in_flight_ = 0;               // queued commands whose replies have not been read
  std::unique_ptr<RedisConnection> connection_;  // its database is live_ between calls
};

}  // namespace

std::unique_ptr<RebuildSink> MakeRedisRebuildSink(const ViewOptions& view,
                                                  std::vector<std::string> tables,
                                                  Duration patience) {
  return std::make_unique<RedisRebuildSink>(view, std::move(tables), patience);
}

}  // namespace indoubt::cdc_internal
