// Three real stores with the tables of a small shop, a configuration over them,
// and the `indoubt` binary to run on it: what the tests of the whole share.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "faults/process.h"
#include "faults/servers.h"

namespace indoubt::testing {

struct Ran {
  std::optional<ExitState> end;  // none: it did not end in time, and was killed
  std::string out;               // stdout
  std::string err;               // stderr, and stdout
  bool DiedOf(int signal) const { return end && end->by_signal && end->code == signal; }
  bool Exited(int code) const { return end && !end->by_signal && end->code == code; }
};

/// Starts `indoubt serve` on that configuration, with `environment` added and `wrapper`
/// before its command line; returns once it serves, or has died. Aborts when it does
/// neither within a minute.
std::unique_ptr<Process> StartServing(const std::string& config_path,
                                      const std::string& output_path,
                                      std::map<std::string, std::string> environment = {},
                                      std::vector<std::string> wrapper = {});

/// Aborts the test program when a store does not start. Thread-compatible.
class Stores {
 public:
  Stores();
  ~Stores();

  /// Runs `indoubt arguments...` to its end, with `environment` added and `wrapper` before
  /// its command line.
  Ran Indoubt(std::vector<std::string> arguments,
              std::map<std::string, std::string> environment = {},
              std::vector<std::string> wrapper = {});
  /// StartServing on this shop.
  std::unique_ptr<Process> Serve(std::map<std::string, std::string> environment = {},
                                 std::vector<std::string> wrapper = {});
  /// Where Serve() listens.
  std::string service_address() const { return "unix:" + folder() + "/serve.sock"; }
  /// exec of one order over the three stores, as the arguments that follow `exec`.
  std::vector<std::string> OrderArguments(int64_t order) const;

  std::string AskPostgres(const std::string& sql);  // first column of the first row
  std::string AskRedis(const std::vector<std::string>& command);
  std::string AskSqlite(const std::string& sql);  // of the ledger's file
  std::string AskSqlite(const std::string& sql, const std::string& path);

  /// "111" when accounts, stock and ledger all hold the order, "000" when none does.
  std::string OrderIn(int64_t order);
  /// All orders that accounts, stock and ledger hold, in this order.
  std::array<std::set<int64_t>, 3> AllOrders();
  /// What is left of undecided transactions, one line each; empty when nothing is.
  std::string Leftovers();
  /// Writes every key of `order` with plain clients that wait for no lock; empty, or
  /// what was not writable.
  std::string Unwritable(int64_t order);
  /// Whether balance and stock agree with the orders that are there.
  std::string Unbalanced();

  /// From now on accounts is, or is not, a logged last resource.
  void SetLastResource(bool last_resource);
  /// Rows of its decision table that say `decision`, "commit" or "abort".
  int64_t DecisionRows(const std::string& decision);

  const std::string& folder() const { return folder_.path(); }
  std::string config_path() const { return folder() + "/indoubt.toml"; }
  std::string log_path() const { return folder() + "/decisions"; }
  std::string sqlite_path() const { return folder() + "/ledger.db"; }
  PostgresServer& postgres() { return *postgres_; }
  RedisServer& redis() { return *redis_; }

 private:
  void MakeTables();
  void WriteConfig();

  ScratchFolder folder_;
  std::unique_ptr<PostgresServer> postgres_;
  std::unique_ptr<RedisServer> redis_;
};

}  // namespace indoubt::testing
