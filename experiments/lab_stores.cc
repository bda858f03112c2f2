#include "experiments/lab_stores.h"

#include <filesystem>

#include <fmt/format.h>

#include "experiments/workloads/shop_names.h"

namespace indoubt {

Result<std::unique_ptr<LabStores>> LabStores::Start(const LabStoresOptions& options) {
  std::unique_ptr<LabStores> stores(new LabStores());
  if (options.keep) stores->folder_.Keep();
  const std::string& folder = stores->folder();
  if (options.postgres_dsn) {
    stores->direct_.postgres_dsn = *options.postgres_dsn;
  } else {
    INDOUBT_ASSIGN_OR_RETURN(stores->postgres_, PostgresServer::Start(folder));
    stores->direct_.postgres_dsn = stores->postgres_->dsn();
  }
  if (options.redis_uri) {
    stores->direct_.redis_uri = *options.redis_uri;
  } else {
    INDOUBT_ASSIGN_OR_RETURN(stores->redis_, RedisServer::Start(folder));
    stores->direct_.redis_uri = stores->redis_->uri();
  }
  stores->direct_.sqlite_path = folder + "/ledger.db";
  stores->of_path_ = stores->direct_;
  if (!options.proxied.empty()) {
    INDOUBT_RETURN_IF_ERROR(stores->StartProxy(options.proxied, options.seed));
  }
  return stores;
}

Status LabStores::StartProxy(const std::string& store, uint64_t seed) {
  const std::string between = folder() + "/proxy";
  std::error_code error;
  std::filesystem::create_directory(between, error);
  if (error) return Status(StatusCode::kIoError, "cannot make " + between);
  ProxyOptions options;
  options.seed = seed;
  if (store == kAccounts && postgres_ != nullptr) {
    // libpq finds a socket by its folder; its name there is fixed.
    const char* const name = "/.s.PGSQL.5432";
    options.listen = "unix:" + between + name;
    options.server = "unix:" + postgres_->socket_folder() + name;
    of_path_.postgres_dsn = fmt::format("host={} user=postgres dbname=postgres", between);
  } else if (store == kStock && redis_ != nullptr) {
    options.listen = "unix:" + between + "/redis.sock";
    options.server = "unix:" + redis_->socket_path();
    of_path_.redis_uri = fmt::format("unix://{}/redis.sock?db=0", between);
  } else {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("the fault between the path and {} needs a private server; leave "
                              "--{} out",
                              store, store == kAccounts ? "postgres" : "redis"));
  }
  INDOUBT_ASSIGN_OR_RETURN(proxy_, Proxy::Start(options));
  return Status::Ok();
}

}  // namespace indoubt
