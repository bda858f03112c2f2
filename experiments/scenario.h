// A scenario: which question, on which paths, under what load, broken how, and
// what is expected of it. A TOML file; unknown keys are errors.
//
//   name = "coordinator-crash"
//   question = "What does the death of the one who coordinates cost?"
//   [matrix]
//   paths = ["2pc", "cdc", "dual-write"]  # one named twice: a control, the cell "2pc-again"
//   clients = [32]                 # optional: one cell for each value and path
//   last_resource = [false, true]  # optional, for 2pc and 2pc-embedded: PostgreSQL as a
//                                  # participant like the others, as a logged last resource
//   [matrix.vary]                  # optional: one cell for each value of each key of this file
//   "workload.zipf" = [0.5, 0.99]  # fault.point.PATH: of that path's cells alone
//   [matrix.again]                 # optional, of the second naming's cells alone
//   "fault.latency" = "12ms"
//   [load]
//   mode = "open"                  # "open": Poisson at rate_per_s; "closed": clients in a loop
//   rate_per_s = 150
//   clients = 32                   # most operations in flight
//   warmup = "3s"  duration = "22s"  drain = "30s"
//   [workload]                     # optional
//   accounts = 1000  items = 1000  zipf = 0.99  set_price_share = 0.2
//   token_reads = false            # cdc: also readers with and without tokens and cuts
//   [[fault]]
//   at = "5s"  kind = "kill"  down = "10s"
//   point = { 2pc = "voted", cdc = "cdc_appended", dual-write = "dual_write_between" }
//   [stats]
//   repeat = 1  seed = 42
//   [[expect]]
//   check = "2pc.inconsistent.permanent == 0"  # docs/run-format.md has its grammar
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

enum class LoadMode { kOpen, kClosed };
const char* ToString(LoadMode mode);  // "open", "closed"

struct LoadPlan {
  LoadMode mode = LoadMode::kOpen;
  double rate_per_s = 0;  // open only
  int clients = 32;       // most operations in flight, 1 to 1024
  Duration warmup = std::chrono::seconds(3);
  Duration duration = std::chrono::seconds(20);
  Duration drain = std::chrono::seconds(30);  // most time for healing at the end
};

struct FaultPlan {
  Duration at{};                             // after the measured span began
  std::string kind;                          // one of AllFaultKinds() (faults/fault.h)
  std::map<std::string, std::string> point;  // kill: path to fail point; others are spared
  std::string store;                         // of the kinds that name one
  Duration latency{}, jitter{};              // store-slow: more for each direction;
                                             // disk-slow: latency, more for each sync
  Duration down{};                           // from when it was seen to act to its healing
};

/// One value of [matrix.vary], as --set takes it.
struct Variation {
  std::string key;    // "fault.down"
  std::string value;  // TOML and JSON at once: a number, a truth value or a string in quotes
};

struct Scenario {
  std::string name;
  std::string question;
  std::vector<std::string> paths;            // none more than twice
  std::vector<int> client_counts;            // of the matrix; empty: load.clients alone
  std::vector<bool> last_resource;           // of the matrix; empty: false alone
  std::vector<std::vector<Variation>> vary;  // of the matrix, key by key; none is empty
  std::vector<Variation> again;              // of the cells of a path's second naming
  LoadPlan load;
  ShopOptions workload;  // its seed is set for each repetition
  std::vector<FaultPlan> faults;
  int repeat = 1;
  uint64_t seed = 42;
  std::vector<std::string> expect;
  std::string resolved;  // the whole as TOML, overrides applied
  /// Expectations that were left out, one line each: overrides took their cells away.
  std::vector<std::string> warnings;
};

/// One combination of the matrix.
struct MatrixCell {
  /// "2pc", "2pc-last-resource", "2pc-down-5s", "2pc-clients-8": what varies is in it.
  std::string name;
  std::string path;
  bool again = false;  // of the path's second naming: "2pc-again"
  int clients = 0;
  bool clients_vary = false;
  bool last_resource = false;
  bool last_resource_varies = false;
  std::vector<Variation> variations;  // with those of [matrix.again], which are in no name
};
std::vector<MatrixCell> CellsOf(const Scenario& scenario);
/// About how long it runs: warm-up, measured span and what starting, draining and comparing
/// take beside it, for every cell and repetition.
Duration EstimatedDuration(const Scenario& scenario);
/// The scenario as that cell has it.
Result<Scenario> ScenarioOf(const Scenario& scenario, const MatrixCell& cell);

/// Parses `text`; `origin` names it in errors. `overrides` are "key.path=value"
/// with a TOML value (a bare word is taken as a string), applied before the
/// checks. kInvalidArgument: "origin:line:column: key: what is wrong".
Result<Scenario> ParseScenario(std::string_view text, const std::string& origin,
                               std::span<const std::string> overrides = {});

/// The same for a built-in scenario's name or, failing that, a file's path.
Result<Scenario> LoadScenario(const std::string& name_or_path,
                              std::span<const std::string> overrides = {});

struct BuiltinScenario {
  std::string_view name;
  std::string_view text;
};
/// The scenarios of experiments/scenarios, which the binary carries.
std::span<const BuiltinScenario> BuiltinScenarios();

}  // namespace indoubt
