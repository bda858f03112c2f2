// The three stores of one repetition, private ones or given ones, and, where a fault
// lies between a path and a store, the proxy that the path's connections go through.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "experiments/workloads/shop.h"
#include "faults/disk.h"
#include "faults/process.h"
#include "faults/proxy.h"
#include "faults/servers.h"

namespace indoubt {

struct LabStoresOptions {
  /// Given servers instead of private ones.
  std::optional<std::string> postgres_dsn, redis_uri;
  bool keep = false;  // the data folders
  /// The store ("accounts", "stock") whose connections from the path go through a proxy.
  std::string proxied;
  uint64_t seed = 1;  // of the proxy's jitter
  /// Where the records are. While the stores are there, its file `stores` says where, so
  /// that what a killed process left behind can be found; empty: nowhere.
  std::string record_folder;
  /// Whose disk is to give out: "accounts", "stock" (their private servers'), or "path" (that
  /// of the path's own process); empty: nobody's.
  std::string faulty_disk;
};

/// Removes the stores' folder that a process which was killed left behind, as
/// `record_folder`/stores names it; nothing when there is none, or when it is no more that
/// repetition's. kRefused when given servers may still wait for what is inside.
Status RemoveLeftStores(const std::string& record_folder);

/// Gone with their folder when destroyed. Use from one thread.
class LabStores {
 public:
  /// kInvalidArgument when a given server is to be proxied: only a private one's address is
  /// known to be free to stand in for.
  /// The same for a faulty disk.
  static Result<std::unique_ptr<LabStores>> Start(const LabStoresOptions& options);

  const std::string& folder() const { return folder_.path(); }
  /// How the observers reach them: past any proxy.
  const StoreEndpoints& direct() const { return direct_; }
  /// How the path under test reaches them.
  const StoreEndpoints& of_path() const { return of_path_; }

  /// Null where the server is not ours.
  PostgresServer* postgres() { return postgres_.get(); }
  RedisServer* redis() { return redis_.get(); }
  /// Null unless a store is proxied.
  Proxy* proxy() { return proxy_.get(); }
  /// Null unless one is to give out.
  FaultyDisk* disk() { return disk_.get(); }
  /// For the path's own processes, beside their own.
  const std::map<std::string, std::string>& path_environment() const {
    return path_environment_;
  }

 private:
  LabStores() = default;
  Status StartServers(const LabStoresOptions& options);
  Status StartProxy(const std::string& store, uint64_t seed);
  Status Record(const std::string& record_folder, bool keep);

  /// The file `stores`; an empty path: none, or it stays.
  struct RecordFile {
    std::string path;
    RecordFile() = default;
    ~RecordFile();
    RecordFile(const RecordFile&) = delete;
    RecordFile& operator=(const RecordFile&) = delete;
  };
  RecordFile record_;  // before what it tells of, so that it goes last
  ScratchFolder folder_{"indoubt-run"};
  std::unique_ptr<FaultyDisk> disk_;
  std::map<std::string, std::string> path_environment_;
  std::unique_ptr<PostgresServer> postgres_;
  std::unique_ptr<RedisServer> redis_;
  std::unique_ptr<Proxy> proxy_;
  StoreEndpoints direct_, of_path_;
};

}  // namespace indoubt
