#include "cdc/source_runner.h"

#include "base/failpoint.h"

namespace indoubt::cdc_internal {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What one durable append takes at most; it takes what has come, when less has.
constexpr size_t kMaxBatch = 4096;
constexpr size_t kMaxBatchBytes = size_t{4} << 20;
// How often the log moves without a transaction of ours: a sync each time.
constexpr milliseconds kLazyAdvance{100};
// How often the source is asked how far it is. It also says so unasked.
constexpr seconds kAskEvery{1};
constexpr seconds kAnswerWithin{30};
constexpr milliseconds kFirstBackOff{20};
constexpr milliseconds kLastBackOff{2000};

}  // namespace

SourceRunner::SourceRunner(SlotOptions options, events::SnapshotProgress snapshot,
                           EventLog& log, const StopSignal& stop)
    : options_(std::move(options)),
      log_(log),
      stop_(stop),
      filter_(options_, std::move(snapshot), stop) {
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
    const bool lost = SlotIsLost(ended);
    bool slot_lost = false;
    if (lost) {
      const TimePoint answer_by = SystemClock().Now() + kAnswerWithin;
      slot_lost = ANewSnapshotHelps(CheckSlot(options_, log_.end().complete, stop_, answer_by));
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
  // What was decoded and not appended is sent again: the slot was not told of it.
  pending_.clear();
  pending_bytes_ = 0;
  INDOUBT_RETURN_IF_ERROR(log_.DropParts());
  sent_ = log_.end().complete;
  TimePoint ask_at = SystemClock().Now() + kAskEvery;
  TimePoint answer_by = SystemClock().Now() + kAnswerWithin;
  INDOUBT_ASSIGN_OR_RETURN(auto stream,
                           ReplicationStream::Start(options_, sent_, stop_, answer_by));
  {
    const std::lock_guard lock(mutex_);
    state_.health = Status::Ok();
  }
  for (;;) {
    // With transactions in hand, take only what is here already, then make them
    // durable: the busier the source, the larger the batch.
    const bool holding = !pending_.empty();
    const bool behind = sent_ > log_.end().complete;
    TimePoint until = holding ? TimePoint{} : ask_at;
    if (!holding && behind) until = std::min(ask_at, advanced_at_ + kLazyAdvance);
    INDOUBT_ASSIGN_OR_RETURN(auto message, stream->Read(until));
    const TimePoint now = SystemClock().Now();
    if (message) {
      progress_ = true;
      answer_by = now + kAnswerWithin;
      Heard(message->sent);
      if (message->transaction) {
        INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_decoded"));
        INDOUBT_RETURN_IF_ERROR(filter_.Apply(*message->transaction));
        pending_bytes_ += message->transaction->ByteSizeLong();
        pending_.push_back(std::move(*message->transaction));
      }
    }
    const bool full = pending_.size() >= kMaxBatch || pending_bytes_ >= kMaxBatchBytes;
    const bool due = now >= advanced_at_ + kLazyAdvance;
    if ((holding && !message) || full) {
      INDOUBT_RETURN_IF_ERROR(Flush(*stream));
    } else if (pending_.empty() && due && sent_ > log_.end().complete) {
      INDOUBT_RETURN_IF_ERROR(Flush(*stream));
    } else if (now >= ask_at || (message && message->reply_requested)) {
      INDOUBT_RETURN_IF_ERROR(Confirm(*stream, now >= ask_at));
    }
    if (now >= ask_at) ask_at = now + kAskEvery;
    if (now >= answer_by) {
      return Status(StatusCode::kUnavailable, "cdc source: it has fallen silent");
    }
  }
}

Status SourceRunner::Flush(ReplicationStream& stream) {
  if (pending_.empty()) {
    INDOUBT_RETURN_IF_ERROR(log_.Advance(sent_));
    advanced_at_ = SystemClock().Now();
  } else {
    INDOUBT_RETURN_IF_ERROR(log_.Append(pending_));
    stream.Recycle(pending_);
    pending_bytes_ = 0;
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_appended"));
  }
  return Confirm(stream, false);
}

Status SourceRunner::Confirm(ReplicationStream& stream, bool ask) {
  const Lsn durable = log_.end().complete;
  INDOUBT_RETURN_IF_ERROR(stream.Confirm(durable, ask, SystemClock().Now() + kAnswerWithin));
  {
    const std::lock_guard lock(mutex_);
    state_.confirmed = durable;
  }
  return HitFailPoint("cdc_confirmed");
}

void SourceRunner::Heard(Lsn sent) {
  sent_ = std::max(sent_, sent);
  const std::lock_guard lock(mutex_);
  state_.source = std::max(state_.source, sent_);
}

}  // namespace indoubt::cdc_internal
