// `indoubt run --live`: shows a run in a browser while it goes on, and takes from there what a
// person wants to break.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "experiments/by_hand.h"
#include "experiments/live/live_history.h"
#include "experiments/live/live_server.h"
#include "experiments/progress_rate.h"
#include "experiments/run.h"

namespace indoubt {

/// Shows what the run's observers record anyway; nothing is asked of any store for it. Begun,
/// Progress and Ended from one thread.
class LiveView {
 public:
  /// At 127.0.0.1:`port`; 0: a free one. `hand`, which must outlive this, gets what a person
  /// asks for. Errors as LiveServer::Start.
  static Result<std::unique_ptr<LiveView>> Start(uint16_t port, ByHand& hand);

  /// What a person has to open; a secret.
  const std::string& url() const { return server_->url(); }
  /// As RunOptions::begun and RunOptions::progress.
  void Begun(const Scenario& scenario, const std::string& folder);
  void Progress(const RunProgress& progress);
  /// Tells every browser that the run is over, in a sentence, and where its report is (empty:
  /// there is none), and serves nothing more. Returns within a second.
  void Ended(const std::string& sentence, const std::string& report);
  /// Samples that browsers were too slow for.
  int64_t left_out() const { return server_->left_out(); }

 private:
  explicit LiveView(ByHand& hand) : hand_(hand) {}
  std::string Opening();
  Status Act(const std::string& body);
  void Happened(const RunProgress& progress, const std::string& what);

  ByHand& hand_;
  ProgressRate rate_;
  int64_t seq_ = 0;
  std::string place_;  // cell and repetition under way
  std::mutex mutex_;
  LiveHistory history_;                 // guarded by mutex_
  std::unique_ptr<LiveServer> server_;  // last: its thread uses the others
};

}  // namespace indoubt
