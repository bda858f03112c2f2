#include "cdc/source/source_stream.h"

#include <algorithm>
#include <thread>

#include "base/failpoint.h"
#include "cdc/source/source_history.h"

namespace indoubt::cdc_internal {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// How much is received before it is handed over, when more is here already.
constexpr size_t kHandOver = 512;
constexpr size_t kHandOverBytes = size_t{512} << 10;
// The server sends each message by itself, and each would wake this thread: after as many as
// this at one go the source is busy, and is given time for some more.
constexpr uint64_t kBusyMessages = 32;
constexpr microseconds kLetGather{200};
// How often the log moves without a transaction of ours: a sync each time.
constexpr milliseconds kLazyAdvance{100};
// How often a busy source is told what is durable; an idle one is at once.
constexpr milliseconds kConfirmEvery{50};
// How often the source is asked how far it is. It also says so unasked.
constexpr seconds kAskEvery{1};
constexpr seconds kAnswerWithin{30};

}  // namespace

Result<std::unique_ptr<SourceStream>> SourceStream::Start(const SlotOptions& options,
                                                          EventLog& log, SnapshotFilter& filter,
                                                          const StopSignal& stop,
                                                          Listener listener) {
  // What was decoded and not appended is sent again: the slot was not told of it.
  INDOUBT_RETURN_IF_ERROR(log.DropParts());
  INDOUBT_RETURN_IF_ERROR(CheckSource(options, log, stop, SystemClock().Now() + kAnswerWithin));
  INDOUBT_ASSIGN_OR_RETURN(
      auto stream, ReplicationStream::Start(options, log.end().complete, log.shapes(), stop,
                                            SystemClock().Now() + kAnswerWithin));
  return std::unique_ptr<SourceStream>(
      new SourceStream(log, filter, std::move(listener), std::move(stream)));
}

SourceStream::SourceStream(EventLog& log, SnapshotFilter& filter, Listener listener,
                           std::unique_ptr<ReplicationStream> stream)
    : log_(log),
      filter_(filter),
      listener_(std::move(listener)),
      stream_(std::move(stream)),
      appender_(log),
      sent_(log.end().complete),
      ask_at_(SystemClock().Now() + kAskEvery),
      answer_by_(SystemClock().Now() + kAnswerWithin) {}

Status SourceStream::Run() {
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool busy, Receive());
    // Before HandOver, which waits for the disk: that is no silence of the source.
    const bool silent = SystemClock().Now() >= answer_by_;
    HandOver();
    INDOUBT_RETURN_IF_ERROR(appender_.status());
    INDOUBT_RETURN_IF_ERROR(listener_(sent_, confirmed_));
    const TimePoint now = SystemClock().Now();
    AdvanceIfDue(now);
    const bool news = log_.end().complete > confirmed_ && now >= confirm_at_;
    if (reply_requested_ || now >= ask_at_ || news) INDOUBT_RETURN_IF_ERROR(Confirm());
    if (silent) {
      return Status(StatusCode::kUnavailable, "cdc source: it has fallen silent");
    }
    if (busy) std::this_thread::sleep_for(kLetGather);
  }
}

TimePoint SourceStream::NextDue() const {
  const Lsn complete = log_.end().complete;
  TimePoint due = ask_at_;
  if (complete > confirmed_) due = std::min(due, confirm_at_);
  if (sent_ > complete && appender_.idle()) due = std::min(due, advance_at_);
  return due;
}

Result<bool> SourceStream::Receive() {
  TimePoint until = NextDue();
  const uint64_t before = stream_->messages();
  while (pending_.size() < kHandOver && pending_bytes_ < kHandOverBytes) {
    INDOUBT_ASSIGN_OR_RETURN(const auto message,
                             stream_->Read(until, appender_.news_fd(), *next_));
    if (!message) {
      appender_.ClearNews();
      break;
    }
    until = TimePoint{};  // after the first, what is here already
    INDOUBT_RETURN_IF_ERROR(Take(*message));
    if (!message->transaction) break;  // there may be something to answer
  }
  return stream_->messages() - before >= kBusyMessages;
}

Status SourceStream::Take(const ReplicationStream::Message& message) {
  answer_by_ = SystemClock().Now() + kAnswerWithin;
  sent_ = std::max(sent_, message.sent);
  reply_requested_ = reply_requested_ || message.reply_requested;
  if (!message.transaction) return Status::Ok();
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_decoded"));
  INDOUBT_RETURN_IF_ERROR(filter_.Apply(*next_, log_.shapes()));
  pending_bytes_ += message.bytes;
  pending_.push_back(std::move(next_));
  if (spare_.empty()) {
    next_ = {};
  } else {
    next_ = std::move(spare_.back());
    spare_.pop_back();
  }
  return Status::Ok();
}

void SourceStream::HandOver() {
  if (pending_.empty()) return;
  appender_.Give(pending_, pending_bytes_);
  pending_bytes_ = 0;
  if (spare_.empty()) spare_ = log_.Reclaim();
}

void SourceStream::AdvanceIfDue(TimePoint now) {
  if (now < advance_at_ || !appender_.idle() || sent_ <= log_.end().complete) return;
  advance_at_ = now + kLazyAdvance;
  appender_.Advance(sent_);
}

Status SourceStream::Confirm() {
  const TimePoint now = SystemClock().Now();
  const bool ask = now >= ask_at_;
  if (ask) ask_at_ = now + kAskEvery;
  confirm_at_ = now + kConfirmEvery;
  reply_requested_ = false;
  const Lsn durable = log_.end().complete;
  INDOUBT_RETURN_IF_ERROR(stream_->Confirm(durable, ask, now + kAnswerWithin));
  confirmed_ = durable;
  INDOUBT_RETURN_IF_ERROR(listener_(sent_, confirmed_));
  return HitFailPoint("cdc_confirmed");
}

}  // namespace indoubt::cdc_internal
