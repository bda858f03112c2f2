// What the paths with a process of their own have in common: work goes to an
// executor, and the process is the one who is struck and started again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "experiments/paths/path.h"
#include "experiments/paths/victim.h"

namespace indoubt {

/// As Path says.
class ProcessPath : public Path {
 public:
  void Submit(TransactionRequest request, OutcomeCallback done) override {
    executor_->Execute(std::move(request), std::move(done));
  }
  Status Strike() override { return process_.Strike(); }
  std::optional<TimePoint> StruckAt() override { return process_.StruckAt(); }
  void Disarm() override { process_.Disarm(); }
  Status Kill() override { return process_.Kill(); }
  Status Restart(const std::string& strike_point) override {
    return StartProcess(strike_point);
  }
  bool Running() override { return process_.Running(); }
  bool writes_ledger_apart() const override { return true; }
  Status Pause() override { return process_.Pause(); }
  bool Paused() override { return process_.Paused(); }
  Status Resume() override { return process_.Resume(); }

 protected:
  /// Starts it; returns when it runs. An empty `strike_point`: no fail points.
  virtual Status StartProcess(const std::string& strike_point) = 0;
  std::string ConfigPath() const { return context_.scratch + "/indoubt.toml"; }
  std::string ArmPath() const { return context_.scratch + "/strike"; }

  PathContext context_;
  Victim process_;
  std::unique_ptr<TransactionExecutor> executor_;
};

}  // namespace indoubt
