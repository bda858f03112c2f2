// The shop's stores with a derived path over its tables: a configuration with [cdc] and two
// views of rows, and a worker of the binary under test.
#pragma once

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "tests/support/eventually.h"
#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {

/// Views "cache" (Redis) and "table" (SQLite, a file of its own). Thread-compatible.
class CdcShop {
 public:
  explicit CdcShop(const std::string& more_of_cdc = "") {
    // A participant of the cdc verbs only: exec and recover run on the stores' own file.
    std::ofstream(config_path())
        << ReadText(stores_.config_path())
        << fmt::format(
               "[participants.derived]\nkind = \"sqlite\"\npath = \"view.db\"\ntables = "
               "[\"orders\"]\n"
               "[cdc]\nsource = \"accounts\"\ntables = [\"orders\", \"account\"]\nslot = "
               "\"indoubt\"\n"
               "log = {{ kind = \"sqlite\", path = \"events.db\" }}\n{}"
               "[views.cache]\nkind = \"redis\"\nsink = \"stock\"\n"
               "[views.table]\nkind = \"sqlite\"\nsink = \"derived\"\n",
               more_of_cdc);
  }

  Stores& stores() { return stores_; }
  std::string config_path() const { return stores_.folder() + "/cdc.toml"; }
  std::string view_path() const { return stores_.folder() + "/view.db"; }
  std::string worker_output() const { return ReadText(worker_output_path()); }

  /// `indoubt cdc arguments... -c CONFIG`.
  Ran Cdc(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "cdc");
    arguments.insert(arguments.end(), {"-c", config_path()});
    return stores_.Indoubt(arguments);
  }

  /// Starts the worker; returns once it streams. Aborts when it does not.
  std::unique_ptr<Process> StartWorker() {
    auto worker = LaunchWorker();
    const bool streams =
        Eventually([&] { return worker_output().find("streaming") != std::string::npos; });
    INDOUBT_CHECK(streams, worker_output());
    return worker;
  }

  /// Starts the worker, and does not wait for anything.
  std::unique_ptr<Process> LaunchWorker() {
    std::remove(worker_output_path().c_str());
    ProcessSpec spec;
    const char* binary = std::getenv("INDOUBT_BINARY");
    INDOUBT_CHECK(binary != nullptr, "INDOUBT_BINARY names the binary under test; run ctest");
    spec.argv = {binary, "cdc", "run", "-c", config_path()};
    spec.output_path = worker_output_path();
    auto worker = Process::Start(spec);
    INDOUBT_CHECK(worker.has_value(), worker.error().ToString());
    return std::move(*worker);
  }

  /// A worker runs for a moment, so that log and slot are there, and then the slot is gone.
  void LoseSlot() {
    StartWorker()->KillAndWait();
    const bool free = Eventually(
        [&] { return stores_.AskPostgres("SELECT active FROM pg_replication_slots") == "f"; });
    INDOUBT_CHECK(free, "the source still takes the killed worker for alive");
    stores_.AskPostgres("SELECT pg_drop_replication_slot('indoubt')");
  }

  /// Waits until both views show `order`.
  bool ShowOrder(int64_t order) {
    return Eventually([&] {
      const std::string key = fmt::format("orders:{}", order);
      return stores_.AskRedis({"HGET", key, "id"}) == std::to_string(order) &&
             stores_.AskSqlite(fmt::format("SELECT id FROM orders WHERE id = {}", order),
                               view_path()) == std::to_string(order);
    });
  }

 private:
  std::string worker_output_path() const { return stores_.folder() + "/worker.out"; }
  Stores stores_;
};

}  // namespace indoubt::testing
