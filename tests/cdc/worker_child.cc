// worker_child DSN LOG REDIS SQLITE [ROWS]: runs a worker until killed, with the sums of
// table moves and, given the SQLite file ROWS, also with the rows of moves and account, there
// and searched in a file beside it.
// In the environment: CDC_ON_SLOT_LOSS=snapshot is on_slot_loss; rows of the item CDC_POISON
// are refused by the sums; CDC_RETENTION is how long the event log keeps what all views have,
// or "key"; CDC_LAST_VIEW is the last view that it has, of cache, table and those of rows, all
// when empty. Exit 1 and the reason on stderr when it cannot start or the slot is lost.
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/duration.h"
#include "base/failpoint.h"
#include "tests/cdc/sums_derivation.h"

int main(int argc, char** argv) {
  using namespace indoubt;  // NOLINT(google-build-using-namespace)
  if (argc != 5 && argc != 6) return 2;
  if (const Status armed = ConfigureFailPointsFromEnvironment(); !armed.ok()) {
    std::fprintf(stderr, "%s\n", armed.ToString().c_str());
    return 2;
  }
  CdcOptions options;
  options.source_dsn = argv[1];
  options.tables = {"moves"};
  options.event_log_path = argv[2];
  const char* poison = std::getenv("CDC_POISON");
  options.views = SumsViews(argv[3], argv[4], SumsDerivation(poison ? poison : ""));
  if (const char* loss = std::getenv("CDC_ON_SLOT_LOSS");
      loss && loss == std::string("snapshot")) {
    options.on_slot_loss = OnSlotLoss::kSnapshot;
  }
  if (const char* time = std::getenv("CDC_RETENTION"); time && *time) {
    options.retention.compact = time == std::string("key");
    if (!options.retention.compact) {
      options.retention.time = ParseDuration(time).value_or(std::chrono::hours(1));
    }
  }
  if (argc == 6) {
    options.tables.emplace_back("account");
    for (ViewOptions& view : RowsViews(argv[3], argv[5])) {
      options.views.push_back(std::move(view));
    }
    const char* last = std::getenv("CDC_LAST_VIEW");
    while (last && *last && options.views.back().name != last) options.views.pop_back();
  }
  const auto worker = CdcWorker::Start(options);
  if (!worker) {
    std::fprintf(stderr, "%s\n", worker.error().ToString().c_str());
    return 1;
  }
  while (!(*worker)->source_lost()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::fprintf(stderr, "%s\n", (*worker)->health().ToString().c_str());
  return 1;
}
