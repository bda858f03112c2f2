#include "experiments/lab_stores.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

// In the stores' folder: whose stores they are. In the record's: where they are.
constexpr const char* kWhose = "/records";
constexpr const char* kWhere = "/stores";

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

Status WriteLine(const std::string& path, const std::string& line) {
  std::ofstream file(path);
  file << line << "\n";
  file.close();
  return file ? Status::Ok() : Status(StatusCode::kIoError, "cannot write " + path);
}

}  // namespace

Status RemoveLeftStores(const std::string& record_folder) {
  const std::string folder = FirstLine(record_folder + kWhere);
  if (folder.empty() || FirstLine(folder + kWhose) != record_folder) return Status::Ok();
  std::error_code error;
  const bool ours = std::filesystem::exists(folder + "/pg", error) &&
                    std::filesystem::exists(folder + "/redis", error);
  const std::string path = folder + "/path";
  const bool owes = std::filesystem::exists(path + "/decisions", error);
  if (!ours && owes) {
    return Status(
        StatusCode::kRefused,
        fmt::format("a repetition that was killed may have left transactions in doubt on "
                    "the given servers: settle them with `indoubt recover` on its log "
                    "{0}/decisions (a configuration may be there: {0}/indoubt.toml), and "
                    "remove {1}",
                    path, folder));
  }
  std::filesystem::remove_all(folder, error);
  if (error) {
    return Status(
        StatusCode::kIoError,
        fmt::format("{} was left behind and cannot be removed: {}", folder, error.message()));
  }
  std::filesystem::remove(record_folder + kWhere, error);
  return Status::Ok();
}

LabStores::RecordFile::~RecordFile() {
  std::error_code ignored;  // it names a folder that is gone, and nobody is misled
  if (!path.empty()) std::filesystem::remove(path, ignored);
}

Status LabStores::Record(const std::string& record_folder, bool keep) {
  const std::string where = record_folder + kWhere;
  INDOUBT_RETURN_IF_ERROR(WriteLine(folder() + kWhose, record_folder));
  INDOUBT_RETURN_IF_ERROR(WriteLine(where, folder()));
  if (!keep) record_.path = where;
  return Status::Ok();
}

Result<std::unique_ptr<LabStores>> LabStores::Start(const LabStoresOptions& options) {
  std::unique_ptr<LabStores> stores(new LabStores());
  const std::string& folder = stores->folder();
  if (!options.record_folder.empty()) {
    INDOUBT_RETURN_IF_ERROR(stores->Record(options.record_folder, options.keep));
  }
  if (options.keep) stores->folder_.Keep();
  // The decisions about branches on a given server.
  if (options.postgres_dsn || options.redis_uri) stores->folder_.KeepAtOnce();
  INDOUBT_RETURN_IF_ERROR(stores->StartServers(options));
  stores->direct_.sqlite_path = folder + "/ledger.db";
  stores->of_path_ = stores->direct_;
  if (!options.proxied.empty()) {
    INDOUBT_RETURN_IF_ERROR(stores->StartProxy(options.proxied, options.seed));
  }
  return stores;
}

Status LabStores::StartServers(const LabStoresOptions& options) {
  std::map<std::string, std::map<std::string, std::string>> environments;
  if (!options.faulty_disk.empty()) {
    INDOUBT_ASSIGN_OR_RETURN(disk_, FaultyDisk::Make(folder() + "/disk"));
    environments[options.faulty_disk] = disk_->environment();
    path_environment_ = environments["path"];
  }
  if (options.postgres_dsn) {
    direct_.postgres_dsn = *options.postgres_dsn;
  } else {
    INDOUBT_ASSIGN_OR_RETURN(
        postgres_, PostgresServer::Start(folder(), {}, environments[std::string(kAccounts)]));
    direct_.postgres_dsn = postgres_->dsn();
  }
  if (options.redis_uri) {
    direct_.redis_uri = *options.redis_uri;
  } else {
    INDOUBT_ASSIGN_OR_RETURN(
        redis_, RedisServer::Start(folder(), {}, environments[std::string(kStock)]));
    direct_.redis_uri = redis_->uri();
  }
  return Status::Ok();
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
