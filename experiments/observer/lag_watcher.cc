#include "experiments/observer/lag_watcher.h"

#include <map>
#include <set>

#include <fmt/format.h>

#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(5);
constexpr auto kSqliteBusy = std::chrono::seconds(5);
// Orders become visible nearly in the order of their commits: every poll looks at
// the oldest, and one in so many at all of them.
constexpr size_t kOldest = 64;
constexpr int kLookAtAllEvery = 20;

using Orders = std::vector<int64_t>;
using Finder = std::function<Result<std::set<int64_t>>(const Orders&)>;

Result<Finder> RedisFinder(const std::string& uri) {
  INDOUBT_ASSIGN_OR_RETURN(auto connected, RedisClient::Connect(uri));
  std::shared_ptr<RedisClient> client = std::move(connected);  // std::function copies
  return Finder([client](const Orders& orders) -> Result<std::set<int64_t>> {
    INDOUBT_RETURN_IF_ERROR(client->Revive());
    std::vector<std::string> keys;
    for (const int64_t order : orders) keys.push_back(ReservedKey(order));
    INDOUBT_ASSIGN_OR_RETURN(const auto values, client->Get(keys));
    std::set<int64_t> found;
    for (size_t i = 0; i < orders.size(); ++i) {
      if (values[i]) found.insert(orders[i]);
    }
    return found;
  });
}

Result<Finder> SqliteFinder(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(auto opened, SqliteClient::Open(path, false, kSqliteBusy));
  std::shared_ptr<SqliteClient> client = std::move(opened);  // std::function copies
  return Finder([client](const Orders& orders) -> Result<std::set<int64_t>> {
    INDOUBT_ASSIGN_OR_RETURN(const auto rows,
                             client->Query("SELECT order_id FROM entries WHERE order_id IN "
                                           "(SELECT value FROM json_each(?1))",
                                           {nlohmann::json(orders).dump()}));
    std::set<int64_t> found;
    for (const Row& row : rows) found.insert(std::strtoll(row[0]->c_str(), nullptr, 10));
    return found;
  });
}

}  // namespace

struct LagWatcher::Store {
  Store(std::string store_name, Finder store_finder, NdjsonFile& file)
      : name(std::move(store_name)),
        find(std::move(store_finder)),
        out(file),
        thread("lag watcher of " + name, kPoll, [this] { return Poll(); }) {}

  Status Poll() {
    Orders orders;
    {
      std::lock_guard lock(mutex);
      const bool all = ++polls % kLookAtAllEvery == 0;
      for (const auto& [at, order] : pending) {
        if (!all && orders.size() == kOldest) break;
        orders.push_back(order);
      }
    }
    if (orders.empty()) return Status::Ok();
    INDOUBT_ASSIGN_OR_RETURN(const std::set<int64_t> found, find(orders));
    const int64_t now = MonotonicNanos();
    std::lock_guard lock(mutex);
    for (auto at = pending.begin(); at != pending.end();) {
      if (!found.contains(at->second)) {
        ++at;
        continue;
      }
      Write(at->second, at->first, now);
      at = pending.erase(at);
    }
    return Status::Ok();
  }

  void Write(int64_t order, int64_t committed, const nlohmann::json& visible) {
    out.Write({{"store", name},
               {"order", order},
               {"committed_ns", committed},
               {"visible_ns", visible}});
  }

  const std::string name;
  const Finder find;
  NdjsonFile& out;
  mutable std::mutex mutex;
  std::multimap<int64_t, int64_t> pending;  // commit's time to order; guarded by mutex
  int polls = 0;                            // guarded by mutex
  WatchThread thread;
};

LagWatcher::LagWatcher() = default;
LagWatcher::~LagWatcher() { Stop(); }

Result<std::unique_ptr<LagWatcher>> LagWatcher::Start(const StoreEndpoints& stores,
                                                      NdjsonFile& out) {
  INDOUBT_ASSIGN_OR_RETURN(Finder redis, RedisFinder(stores.redis_uri));
  INDOUBT_ASSIGN_OR_RETURN(Finder sqlite, SqliteFinder(stores.sqlite_path));
  std::unique_ptr<LagWatcher> watcher(new LagWatcher());
  watcher->stores_.push_back(std::make_unique<Store>(kStock, std::move(redis), out));
  watcher->stores_.push_back(std::make_unique<Store>(kLedger, std::move(sqlite), out));
  for (auto& store : watcher->stores_) store->thread.Start();
  return watcher;
}

void LagWatcher::Committed(int64_t order, TimePoint at) {
  for (auto& store : stores_) {
    std::lock_guard lock(store->mutex);
    store->pending.emplace(at.time_since_epoch().count(), order);
  }
}

void LagWatcher::Stop() {
  for (auto& store : stores_) {
    store->thread.Stop();
    std::lock_guard lock(store->mutex);
    for (const auto& [at, order] : store->pending) store->Write(order, at, nullptr);
    store->pending.clear();
  }
}

size_t LagWatcher::pending() const {
  size_t most = 0;
  for (const auto& store : stores_) {
    std::lock_guard lock(store->mutex);
    most = std::max(most, store->pending.size());
  }
  return most;
}

std::map<std::string, Duration> LagWatcher::Oldest() const {
  std::map<std::string, Duration> oldest;
  const int64_t now = MonotonicNanos();
  for (const auto& store : stores_) {
    std::lock_guard lock(store->mutex);
    oldest[store->name] =
        store->pending.empty() ? Duration{} : Duration(now - store->pending.begin()->first);
  }
  return oldest;
}

std::vector<std::string> LagWatcher::Troubles() const {
  std::vector<std::string> troubles;
  for (const auto& store : stores_) {
    if (const auto trouble = store->thread.Trouble()) troubles.push_back(*trouble);
  }
  return troubles;
}

}  // namespace indoubt
