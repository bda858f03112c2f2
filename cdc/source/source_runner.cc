#include "cdc/source/source_runner.h"

#include <algorithm>

#include "cdc/source/source_history.h"
#include "cdc/source/source_stream.h"

namespace indoubt::cdc_internal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kAnswerWithin{30};
constexpr milliseconds kFirstBackOff{20};
constexpr milliseconds kLastBackOff{2000};

}  // namespace

SourceRunner::SourceRunner(SlotOptions options, PublishedTables tables,
                           events::PublicationMarks marks, events::SnapshotProgress snapshot,
                           EventLog& log, const StopSignal& stop)
    : options_(std::move(options)),
      log_(log),
      stop_(stop),
      filter_(options_, std::move(snapshot), stop),
      publication_(options_, std::move(tables), std::move(marks), stop) {
  state_.health = Status(StatusCode::kUnavailable, "cdc source: not connected yet");
  thread_ = std::thread([this] { Run(); });
}

void SourceRunner::Join() {
  if (thread_.joinable()) thread_.join();
}

SourceState SourceRunner::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void SourceRunner::WaitForEnd() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_; });
}

void SourceRunner::Run() {
  TryUntilLost();
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void SourceRunner::TryUntilLost() {
  Duration back_off = kFirstBackOff;
  while (!stop_.is_set()) {
    progress_ = false;
    const Status ended = Stream();
    if (stop_.is_set()) return;
    bool lost = false;
    bool slot_lost = false;
    if (SlotIsLost(ended)) {
      const TimePoint answer_by = SystemClock().Now() + kAnswerWithin;
      const Status slot = CheckSource(options_, log_, stop_, answer_by);
      // With its slot as it was, a stream ends for what no other attempt would mend either.
      // Where nobody could look, the next attempt ends for the same, and looks again.
      lost = slot.ok() || SlotIsLost(slot);
      slot_lost = ANewSnapshotHelps(slot);
    }
    {
      const std::lock_guard lock(mutex_);
      state_.health = ended;
      state_.lost = lost;
      state_.slot_lost = slot_lost;
    }
    if (lost) return;
    back_off =
        progress_ ? Duration(kFirstBackOff) : std::min<Duration>(back_off * 2, kLastBackOff);
    stop_.SleepUntil(SystemClock().Now() + back_off);
  }
}

Status SourceRunner::Stream() {
  const auto heard = [this](Lsn source, Lsn confirmed) {
    const std::lock_guard lock(mutex_);
    state_.source = std::max(state_.source, source);
    state_.confirmed = std::max(state_.confirmed, confirmed);
    return publication_.status();
  };
  INDOUBT_ASSIGN_OR_RETURN(const auto stream,
                           SourceStream::Start(options_, log_, filter_, stop_, heard));
  {
    const std::lock_guard lock(mutex_);
    state_.health = Status::Ok();
  }
  const Status ended = stream->Run();
  progress_ = stream->progressed();
  return ended;
}

}  // namespace indoubt::cdc_internal
