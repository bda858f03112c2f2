// Private PostgreSQL and Redis servers: started for a test or an experiment in a
// folder of their own, on unix sockets of their own, with the durability that a
// participant needs, and killed and restarted at will.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "faults/process.h"

namespace indoubt {

/// A PostgreSQL cluster and its postmaster. As root it runs as user `postgres`,
/// which must be able to reach `folder`. Thread-compatible. The destructor stops
/// the server (immediate) and leaves the files to the folder's owner.
class PostgresServer {
 public:
  /// initdb in `folder`/pg and a server that listens on a unix socket there only:
  /// fsync and synchronous_commit on, wal_level=logical,
  /// max_prepared_transactions=200. `settings` override (name to value).
  /// kNotFound when PostgreSQL is not installed. `environment` is added to the server's own,
  /// at every start.
  static Result<std::unique_ptr<PostgresServer>> Start(
      const std::string& folder, const std::map<std::string, std::string>& settings = {},
      const std::map<std::string, std::string>& environment = {});
  ~PostgresServer();

  /// A libpq connection string for the superuser `postgres`, database `postgres`.
  std::string dsn(const std::string& database = "postgres") const;
  /// The server's data folder, socket folder and log file.
  std::string data_folder() const { return folder_ + "/data"; }
  std::string socket_folder() const { return folder_; }
  std::string log_path() const { return folder_ + "/postgres.log"; }
  /// "15.18"
  const std::string& version() const { return version_; }
  pid_t pid() const { return process_ ? process_->pid() : -1; }

  /// SIGKILL to the postmaster and every backend of it; waits until all are gone, a
  /// minute at most: with one left, PostgreSQL refuses the next start.
  void Kill();
  /// pg_ctl's modes: SIGTERM "smart" is not offered.
  void StopImmediate();
  void StopFast();
  /// Whether it answers, now or by `deadline`; false at once when its postmaster has ended.
  bool Answers(TimePoint deadline);
  /// Starts it again on the same data; returns when it answers. `wrapper` stands
  /// before the command line, e.g. a tracer that execs it (as the same user).
  Status Restart(const std::vector<std::string>& wrapper = {});

 private:
  PostgresServer(std::string folder, std::map<std::string, std::string> settings);
  Status StartProcess(const std::vector<std::string>& wrapper);

  const std::string folder_;
  std::map<std::string, std::string> settings_, environment_;
  std::string bin_;
  std::string version_;
  std::unique_ptr<Process> process_;
};

/// A Redis server. Thread-compatible. The destructor kills it.
class RedisServer {
 public:
  /// A server in `folder`/redis on a unix socket there: appendonly yes,
  /// appendfsync always. `settings` override (directive to value; a "port" makes
  /// it listen on 127.0.0.1 too).
  /// `environment` is added to the server's own, at every start.
  static Result<std::unique_ptr<RedisServer>> Start(
      const std::string& folder, const std::map<std::string, std::string>& settings = {},
      const std::map<std::string, std::string>& environment = {});
  ~RedisServer();

  /// "unix:///…/redis.sock?db=0"
  std::string uri() const { return "unix://" + socket_path() + "?db=0"; }
  std::string socket_path() const { return folder_ + "/redis.sock"; }
  std::string data_folder() const { return folder_; }
  std::string log_path() const { return folder_ + "/redis.log"; }
  /// "7.0.15"
  const std::string& version() const { return version_; }
  pid_t pid() const { return process_ ? process_->pid() : -1; }

  /// SIGKILL; waits for the end.
  void Kill();
  bool Running() { return process_ && process_->Running(); }
  /// Starts it again on the same data; returns when it has loaded and answers.
  /// `wrapper` stands before the command line, e.g. a tracer that execs it.
  Status Restart(const std::vector<std::string>& wrapper = {});

 private:
  RedisServer(std::string folder, std::map<std::string, std::string> settings);

  const std::string folder_;
  std::map<std::string, std::string> settings_, environment_;
  std::string version_;
  std::unique_ptr<Process> process_;
};

}  // namespace indoubt
