#include "experiments/progress_rate.h"

#include <fmt/format.h>

namespace indoubt {
namespace {

constexpr double kRateSeconds = 1;

}  // namespace

ProgressRate::Rates ProgressRate::At(const RunProgress& progress) {
  const std::string place = fmt::format("{} {}", progress.cell, progress.rep);
  if (place != place_ || !progress.observed) {
    place_ = place;
    counted_.reset();
    rates_ = {};
  }
  if (!progress.observed) return rates_;
  const Counts now{progress.elapsed_s, progress.committed, progress.errors};
  if (!counted_) counted_ = now;
  const double seconds = now.at_s - counted_->at_s;
  if (seconds >= kRateSeconds) {
    rates_ = {static_cast<double>(now.committed - counted_->committed) / seconds,
              static_cast<double>(now.errors - counted_->errors) / seconds};
    counted_ = now;
  }
  return rates_;
}

}  // namespace indoubt
