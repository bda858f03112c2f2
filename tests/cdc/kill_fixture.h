// A worker in a process of its own under a load of its own, for the tests that kill it
// again and again: what everything must look like at the end.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/cdc/fixture.h"

namespace indoubt {

/// Writers at the source until it goes: transactions that commit, roll back, and come in
/// two phases. Each commit adds to moves and changes a row of account, or replaces it.
class SourceLoad {
 public:
  /// `two_phase`: also transactions in two phases, which the making of a slot waits for.
  SourceLoad(std::string dsn, bool two_phase, uint64_t seed);
  ~SourceLoad();
  /// Transactions that have ended, this way or that.
  int64_t ended() const { return ended_.load(); }

 private:
  void Write(int writer, bool two_phase, uint64_t seed);
  const std::string dsn_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> ended_{0};
  std::vector<std::thread> writers_;
};

/// The fail points that each transaction passes on its way from the source to every view.
constexpr const char* kWorkerPoints[] = {"cdc_decoded",
                                         "cdc_appended",
                                         "cdc_confirmed",
                                         "cdc_applied@cache",
                                         "cdc_applied@table",
                                         "cdc_applied@rows_cache",
                                         "cdc_applied@rows_table",
                                         "cdc_applied@rows_search"};

class CdcKillFixture : public CdcFixture {
 protected:
  void SetUp() override;
  /// The child's options: sums and rows in Redis and SQLite, and rows that are searched.
  CdcOptions AllOptions() const;
  std::unique_ptr<Process> StartChild(const std::string& fail_points,
                                      const std::vector<std::string>& wrapper = {});
  /// What the children said on stderr, all of them.
  std::string ChildOutput() const;
  /// With the load at rest and a worker running: waits for every view, and compares each
  /// row, sum and count with the source.
  void ExpectEverythingEqualsSource();

  /// For the children's environment.
  std::string on_slot_loss_ = "stop";
  std::string poison_;     // an item whose rows the sums refuse
  std::string retention_;  // retention_time, or "key"; empty: for ever
  std::string last_view_;  // it has the views up to this one; empty: all of AllOptions()
  std::string rows_path_ = folder_.path() + "/rows.db";
};

/// INDOUBT_SEED, or a random one; the same at each call.
uint64_t SeedOfThisRun();

}  // namespace indoubt
