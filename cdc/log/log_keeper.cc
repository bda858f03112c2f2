#include "cdc/log/log_keeper.h"

#include <algorithm>

#include "cdc/log/log_hold.h"
#include "cdc/source/source_clock.h"

namespace indoubt::cdc_internal {
namespace {

using std::chrono::milliseconds;

// How often it looks whether something may go.
constexpr milliseconds kSeldom{1000};
constexpr milliseconds kOften{20};
// A step of the removal is followed by a pause of so many times its length: appends have the
// log most of the time.
constexpr int kPause = 3;

}  // namespace

std::optional<EventPosition> PassedByAll(const std::vector<ViewPassed>& views, OnViewLag rule,
                                         EventPosition end) {
  EventPosition passed = end;
  for (const ViewPassed& view : views) {
    switch (view.state) {
      case ViewPassed::State::kCopying:
        return std::nullopt;
      case ViewPassed::State::kUnknown:
        if (rule == OnViewLag::kHold) return std::nullopt;
        break;
      case ViewPassed::State::kAt:
        if (rule == OnViewLag::kHold) passed = std::min(passed, view.at);
        break;
    }
  }
  return passed;
}

LogKeeper::LogKeeper(RetentionOptions options, std::string path, Views views, EventLog& log,
                     const StopSignal& stop)
    : options_(options),
      path_(std::move(path)),
      views_(std::move(views)),
      log_(log),
      stop_(stop) {
  thread_ = std::thread([this] { Run(); });
}

void LogKeeper::Join() {
  if (thread_.joinable()) thread_.join();
}

Status LogKeeper::health() const {
  const std::lock_guard lock(mutex_);
  return health_;
}

// A short time is a test's, or a demonstration's.
Duration LogKeeper::BetweenLooks() const {
  const Duration seldom = kSeldom;
  if (!options_.time) return seldom;
  return std::clamp<Duration>(*options_.time / 10, kOften, seldom);
}

void LogKeeper::Run() {
  while (!stop_.is_set()) {
    const TimePoint begun = SystemClock().Now();
    const auto more = Step();
    const TimePoint ended = SystemClock().Now();
    {
      const std::lock_guard lock(mutex_);
      health_ = more ? Status::Ok() : more.error().WithContext("cdc retention");
    }
    const bool at_once = more && *more;
    stop_.SleepUntil(ended + (at_once ? (ended - begun) * kPause : BetweenLooks()));
  }
}

Result<bool> LogKeeper::Step() {
  // Before it looks how far the views are: a rebuild that begins now waits.
  INDOUBT_ASSIGN_OR_RETURN(const auto alone, LogHold::TryExclude(path_));
  if (!alone) return false;
  const auto passed = PassedByAll(views_(), options_.on_view_lag, log_.end().last);
  if (passed) {
    Removal removal{*passed, std::nullopt, options_.bytes};
    if (options_.time) removal.committed_before = MicrosSince2000() - ToMicros(*options_.time);
    INDOUBT_ASSIGN_OR_RETURN(const bool more, log_.RemoveOldest(removal));
    if (more) return true;
    if (options_.compact) {
      INDOUBT_ASSIGN_OR_RETURN(const bool compacting, log_.CompactOldest(*passed));
      if (compacting) return true;
    }
  }
  return log_.GiveSpaceBack();
}

}  // namespace indoubt::cdc_internal
