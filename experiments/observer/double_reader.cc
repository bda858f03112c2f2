#include "experiments/observer/double_reader.h"

#include "experiments/workloads/random.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr auto kBetweenReads = std::chrono::milliseconds(5);
constexpr auto kSqliteBusy = std::chrono::seconds(5);
constexpr uint64_t kReaderStream = 300;  // apart from the workload's own

}  // namespace

DoubleReader::DoubleReader(uint64_t seed, const RecentOrders& recent, NdjsonFile& out)
    : seed_(seed),
      recent_(recent),
      out_(out),
      thread_("double reader", kBetweenReads, [this] { return ReadOne(); }) {}

Result<std::unique_ptr<DoubleReader>> DoubleReader::Start(const StoreEndpoints& stores,
                                                          uint64_t seed,
                                                          const RecentOrders& recent,
                                                          NdjsonFile& out) {
  std::unique_ptr<DoubleReader> reader(new DoubleReader(seed, recent, out));
  INDOUBT_ASSIGN_OR_RETURN(reader->postgres_, PostgresClient::Connect(stores.postgres_dsn));
  INDOUBT_ASSIGN_OR_RETURN(reader->redis_, RedisClient::Connect(stores.redis_uri));
  INDOUBT_ASSIGN_OR_RETURN(reader->sqlite_,
                           SqliteClient::Open(stores.sqlite_path, false, kSqliteBusy));
  reader->thread_.Start();
  return reader;
}

/// Whether the order is in PostgreSQL, and in the other store.
Result<std::vector<bool>> DoubleReader::Collect(int64_t order, bool in_redis) {
  const std::string id = std::to_string(order);
  INDOUBT_ASSIGN_OR_RETURN(const auto source,
                           postgres_->Query("SELECT 1 FROM orders WHERE id = $1", {id}));
  if (in_redis) {
    INDOUBT_ASSIGN_OR_RETURN(const auto values, redis_->Get({ReservedKey(order)}));
    return std::vector<bool>{!source.empty(), values[0].has_value()};
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto entries,
                           sqlite_->Query("SELECT 1 FROM entries WHERE order_id = ?1", {id}));
  return std::vector<bool>{!source.empty(), !entries.empty()};
}

Status DoubleReader::ReadOne() {
  const uint64_t random = RandomAt(seed_, kReaderStream, counter_++);
  const std::optional<int64_t> order = recent_.Pick(random >> 1);
  if (!order) return Status::Ok();
  const bool in_redis = (random & 1) != 0;
  INDOUBT_RETURN_IF_ERROR(postgres_->Revive());
  INDOUBT_RETURN_IF_ERROR(redis_->Revive());
  const int64_t at = MonotonicNanos();
  INDOUBT_ASSIGN_OR_RETURN(const std::vector<bool> first, Collect(*order, in_redis));
  nlohmann::json second = nullptr;
  bool fractured = false;
  if (first[0] != first[1]) {
    INDOUBT_ASSIGN_OR_RETURN(const std::vector<bool> again, Collect(*order, in_redis));
    fractured = again == first;
    second = again;
  }
  out_.Write({{"t_ns", at},
              {"order", *order},
              {"stores", {kAccounts, in_redis ? kStock : kLedger}},
              {"first", first},
              {"second", second},
              {"fractured", fractured}});
  return Status::Ok();
}

}  // namespace indoubt
