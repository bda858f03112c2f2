#include "experiments/observer/prepared_watcher.h"

#include <limits>
#include <map>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "base/gid.h"
#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop_names.h"
#include "participants/redis/redis_keys.h"
#include "participants/sqlite/sqlite_schema.h"

namespace indoubt {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(5);
constexpr auto kSqliteBusy = std::chrono::seconds(5);
constexpr int64_t kNobody = std::numeric_limits<int64_t>::max();

using Gids = std::vector<std::string>;
using Lister = std::function<Result<Gids>()>;

/// The gid of a branch name "idt:<gid>:<participant>".
Result<std::string> GidOf(const std::string& branch) {
  INDOUBT_ASSIGN_OR_RETURN(const BranchId id, BranchId::Parse(branch));
  return id.gid.ToString();
}

Result<Lister> PostgresLister(const std::string& dsn) {
  INDOUBT_ASSIGN_OR_RETURN(auto connected, PostgresClient::Connect(dsn));
  std::shared_ptr<PostgresClient> client = std::move(connected);  // std::function copies
  return Lister([client]() -> Result<Gids> {
    INDOUBT_RETURN_IF_ERROR(client->Revive());
    INDOUBT_ASSIGN_OR_RETURN(const auto rows,
                             client->Query("SELECT gid FROM pg_prepared_xacts WHERE database = "
                                           "current_database() AND gid LIKE 'idt:%'"));
    Gids gids;
    for (const Row& row : rows) {
      INDOUBT_ASSIGN_OR_RETURN(gids.emplace_back(), GidOf(row[0].value_or("")));
    }
    return gids;
  });
}

Result<Lister> RedisLister(const std::string& uri) {
  INDOUBT_ASSIGN_OR_RETURN(auto connected, RedisClient::Connect(uri));
  std::shared_ptr<RedisClient> client = std::move(connected);  // std::function copies
  return Lister([client]() -> Result<Gids> {
    INDOUBT_RETURN_IF_ERROR(client->Revive());
    INDOUBT_ASSIGN_OR_RETURN(const auto reply,
                             client->Run({"HKEYS", std::string(kRedisPreparedKey)}));
    Gids gids;
    for (size_t i = 0; i < reply->elements; ++i) {
      const redisReply* element = reply->element[i];
      INDOUBT_ASSIGN_OR_RETURN(gids.emplace_back(),
                               GidOf(std::string(element->str, element->len)));
    }
    return gids;
  });
}

Result<Lister> SqliteLister(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(auto opened, SqliteClient::Open(path, false, kSqliteBusy));
  std::shared_ptr<SqliteClient> client = std::move(opened);  // std::function copies
  return Lister([client]() -> Result<Gids> {
    INDOUBT_ASSIGN_OR_RETURN(
        const auto rows, client->Query(fmt::format("SELECT gid FROM {}", kSqliteBranchTable)));
    Gids gids;
    for (const Row& row : rows) gids.push_back(row[0].value_or(""));
    return gids;
  });
}

}  // namespace

struct PreparedWatcher::Store {
  struct Seen {
    int64_t first = 0, last = 0;
  };

  Store(std::string store_name, Lister store_lister, NdjsonFile& file)
      : name(std::move(store_name)),
        list(std::move(store_lister)),
        out(file),
        thread("observer of " + name, kPoll, [this] { return Poll(); }) {}

  Status Poll() {
    INDOUBT_ASSIGN_OR_RETURN(const Gids gids, list());
    const int64_t now = MonotonicNanos();
    std::map<std::string, Seen> still;
    for (const std::string& gid : gids) {
      const auto at = seen.find(gid);
      still[gid] = {at == seen.end() ? now : at->second.first, now};
    }
    for (const auto& [gid, times] : seen) {
      if (!still.contains(gid)) Write(gid, times);
    }
    seen = std::move(still);
    count = static_cast<int64_t>(seen.size());
    int64_t since = kNobody;
    for (const auto& [gid, times] : seen) since = std::min(since, times.first);
    oldest_since = since;
    return Status::Ok();
  }

  void Write(const std::string& gid, const Seen& times) {
    out.Write({{"store", name},
               {"gid", gid},
               {"first_seen_ns", times.first},
               {"last_seen_ns", times.last}});
  }

  const std::string name;
  const Lister list;
  NdjsonFile& out;
  std::map<std::string, Seen> seen;  // of the thread, and of Stop() after it
  std::atomic<int64_t> count{0};
  std::atomic<int64_t> oldest_since{kNobody};
  WatchThread thread;
};

PreparedWatcher::PreparedWatcher() = default;
PreparedWatcher::~PreparedWatcher() { Stop(); }

Result<std::unique_ptr<PreparedWatcher>> PreparedWatcher::Start(const StoreEndpoints& stores,
                                                                NdjsonFile& out) {
  INDOUBT_ASSIGN_OR_RETURN(Lister postgres, PostgresLister(stores.postgres_dsn));
  INDOUBT_ASSIGN_OR_RETURN(Lister redis, RedisLister(stores.redis_uri));
  INDOUBT_ASSIGN_OR_RETURN(Lister sqlite, SqliteLister(stores.sqlite_path));
  std::unique_ptr<PreparedWatcher> watcher(new PreparedWatcher());
  watcher->stores_.push_back(std::make_unique<Store>(kAccounts, std::move(postgres), out));
  watcher->stores_.push_back(std::make_unique<Store>(kStock, std::move(redis), out));
  watcher->stores_.push_back(std::make_unique<Store>(kLedger, std::move(sqlite), out));
  for (auto& store : watcher->stores_) store->thread.Start();
  return watcher;
}

void PreparedWatcher::Stop() {
  for (auto& store : stores_) {
    store->thread.Stop();
    for (const auto& [gid, times] : store->seen) store->Write(gid, times);
    store->seen.clear();
  }
}

int64_t PreparedWatcher::in_doubt() const {
  int64_t most = 0;
  for (const auto& store : stores_) most = std::max(most, store->count.load());
  return most;
}

Duration PreparedWatcher::oldest() const {
  int64_t since = kNobody;
  for (const auto& store : stores_) since = std::min(since, store->oldest_since.load());
  return since == kNobody ? Duration{} : Duration(MonotonicNanos() - since);
}

std::vector<std::string> PreparedWatcher::Troubles() const {
  std::vector<std::string> troubles;
  for (const auto& store : stores_) {
    if (const auto trouble = store->thread.Trouble()) troubles.push_back(*trouble);
  }
  return troubles;
}

}  // namespace indoubt
