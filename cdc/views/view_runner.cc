#include "cdc/views/view_runner.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/failpoint.h"
#include "cdc/views/redis_connection.h"
#include "cdc/views/stopped_view.h"
#include "cdc/views/view_copy.h"

namespace indoubt::cdc_internal {
namespace {

using std::chrono::milliseconds;

// What one atomic write of a sink takes when the view is behind.
constexpr size_t kMaxEvents = 4096;
constexpr size_t kMaxBytes = size_t{2} << 20;
// How often a position moves that has no event behind it: a sync each time.
constexpr milliseconds kLazyAdvance{100};
// An event that a view refuses so many times, for what it is, is parked; a copy is not tried
// again.
constexpr int kRefusals = 3;
// How often a view with parked events looks whether to try them again.
constexpr milliseconds kLookForRetry{100};
// How often a view that a reader holds looks whether it is let go.
constexpr milliseconds kHeldLook{1};
// A copy costs the source: one that failed is begun again no sooner after it began.
constexpr milliseconds kCopyAgain{5000};
constexpr milliseconds kFirstBackOff{20};
constexpr milliseconds kLastBackOff{2000};

// Whether Apply failed because of the event, and not because of the sink's condition.
bool IsForTheEvent(const Status& status) {
  return status.code() == StatusCode::kInvalidArgument ||
         status.code() == StatusCode::kUnsupported;
}

// Said once, however often it is tried.
std::string WhyGone(const ParkedEvent& parked, const std::string& view) {
  const std::string gone = "it is not in the event log any more";
  if (parked.reason.starts_with(gone)) return parked.reason;
  return fmt::format("{}; rebuild the view (indoubt cdc rebuild {}); it was parked because: {}",
                     gone, view, parked.reason);
}

bool IsPart(const LoggedEvent& event) { return event.transaction->part() > 0; }

}  // namespace

ViewRunner::ViewRunner(const ViewOptions& options, std::unique_ptr<View> view,
                       std::vector<std::string> tables, ViewCopier copy, const EventLog& log,
                       const StopSignal& stop)
    : view_(std::move(view)),
      tables_(std::move(tables)),
      copy_(std::move(copy)),
      guard_(options.derivation.needs, options.schema_rule),
      log_(log),
      stop_(stop) {
  state_.name = view_->name();
  state_.health = Status(StatusCode::kUnavailable, "not opened yet");
  thread_ = std::thread([this] { Run(); });
}

void ViewRunner::Join() {
  if (thread_.joinable()) thread_.join();
}

ViewState ViewRunner::state() const {
  const uint64_t end = log_.end().last_sequence;
  const std::lock_guard lock(mutex_);
  ViewState state = state_;
  state.backlog = end > sequence_ ? end - sequence_ : 0;
  return state;
}

ViewPassed ViewRunner::passed() const {
  const std::lock_guard lock(mutex_);
  ViewPassed passed = passed_;
  if (first_parked_) passed.at = std::min(passed.at, JustBefore(*first_parked_));
  return passed;
}

void ViewRunner::Run() {
  const SigpipeBlocked no_signal;  // a sink that has gone is an error like another
  Duration back_off = kFirstBackOff;
  while (!stop_.is_set()) {
    const EventPosition before = position_;
    const Status ended = Follow();
    if (stop_.is_set()) return;
    failed_ = !ended.ok();
    SetHealth(ended.WithContext("view " + view_->name()));
    back_off = position_ > before ? Duration(kFirstBackOff)
                                  : std::min<Duration>(back_off * 2, kLastBackOff);
    stop_.SleepUntil(SystemClock().Now() + back_off);
  }
}

Status ViewRunner::Follow() {
  INDOUBT_ASSIGN_OR_RETURN(const ViewPosition at, OpenView());
  INDOUBT_RETURN_IF_ERROR(
      CheckPosition(at, log_.id(), log_.begin().whole_from(), log_.end().complete));
  INDOUBT_ASSIGN_OR_RETURN(const auto reader, log_.NewReader());
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t sequence, reader->SequenceAt(at.position));
  INDOUBT_RETURN_IF_ERROR(LoadParked());  // first: the log lets go what is before both
  SetPosition(at.position, sequence);
  guard_.Forget();
  // What has failed is not well again before it has come further: it may stop right here.
  bool well = !failed_;
  if (well) SetHealth(Status::Ok());
  while (!stop_.is_set()) {
    INDOUBT_RETURN_IF_ERROR(RetryIfAsked(*reader));
    const LogEnd end = log_.end();
    const bool behind = end.last > position_ || end.complete > position_.lsn;
    if (!behind && !std::exchange(well, true)) SetHealth(Status::Ok());
    if (behind) {
      const Status applied = ApplyNext(*reader, end);
      // Of another error it says nothing: that may have come before the next write.
      if (applied.code() == StatusCode::kLocked && view_->hold_changed()) continue;
      INDOUBT_RETURN_IF_ERROR(applied);
      if (!std::exchange(well, true)) SetHealth(Status::Ok());
    } else {
      const TimePoint deadline = SystemClock().Now() + kLazyAdvance;
      log_.WaitBeyond(position_, deadline);
    }
  }
  return Status::Ok();
}

Result<ViewPosition> ViewRunner::OpenView() {
  INDOUBT_ASSIGN_OR_RETURN(ViewPosition at, view_->Open());
  if (log_.WasId(at.log_id)) {  // from before the slot was lost
    at = {log_.id(), {}};
    INDOUBT_RETURN_IF_ERROR(view_->Clear(tables_, at));
  }
  if (NeedsCopy(at, log_)) {
    INDOUBT_RETURN_IF_ERROR(copy_refused_);
    INDOUBT_RETURN_IF_ERROR(CopyInto(at));
  }
  return at;
}

Status ViewRunner::CopyInto(ViewPosition& at) {
  {
    const std::lock_guard lock(mutex_);
    passed_.state = ViewPassed::State::kCopying;
  }
  stop_.SleepUntil(copy_again_at_);
  copy_again_at_ = SystemClock().Now() + kCopyAgain;
  SetHealth(Status(StatusCode::kUnavailable,
                   fmt::format("view {}: the source's tables are being copied, because the "
                               "event log's beginning was removed",
                               view_->name())));
  if (at.position.ordinal > 0) {  // some chunks of a copy that was cut short
    INDOUBT_RETURN_IF_ERROR(view_->Clear(tables_, {log_.id(), {}}));
  }
  auto copied = copy_(*view_);
  if (!copied) {
    return AfterCopyRefusal(copied.error().WithContext("copying the source's tables"));
  }
  at = *copied;
  copy_again_at_ = {};
  copy_refusals_ = 0;
  return Status::Ok();
}

Status ViewRunner::AfterCopyRefusal(const Status& status) {
  copy_refusals_ = IsForTheEvent(status) ? copy_refusals_ + 1 : 0;
  if (copy_refusals_ < kRefusals) return status;
  copy_refused_ = Status(
      status.code(),
      fmt::format("{}; refused {} times, it is not tried again; mend what it was refused for, "
                  "then start the worker again or rebuild the view (indoubt cdc rebuild {})",
                  status.message(), kRefusals, view_->name()));
  const std::lock_guard lock(mutex_);
  passed_.state =
      ViewPassed::State::kUnknown;  // it needs the log no more than one that is down
  return copy_refused_;
}

Status ViewRunner::Admit(std::vector<LoggedEvent>& events, EventLogReader& reader) {
  for (size_t i = 0; i < events.size(); ++i) {
    const Status admitted = guard_.Check(events[i], reader);
    if (admitted.ok()) continue;
    events.resize(i);
    return admitted;
  }
  return Status::Ok();
}

bool ViewRunner::EndsInParts(std::vector<LoggedEvent>& events) {
  if (events.empty() || !IsPart(events.back())) return false;
  size_t whole = events.size();
  while (whole > 0 && IsPart(events[whole - 1])) --whole;
  if (whole == 0) return true;
  events.resize(whole);
  return false;
}

// Too large to be parked itself.
Status ViewRunner::CheckFree(const std::vector<LoggedEvent>& parts) const {
  for (const LoggedEvent& part : parts) {
    if (parked_.empty() || !held_.Touches(RowsOf(part))) continue;
    return Status(StatusCode::kRefused,
                  fmt::format("a large transaction touches rows of a parked event; mend what "
                              "that was refused for ({}), then `indoubt cdc retry {}`",
                              parked_.front().reason, view_->name()));
  }
  return Status::Ok();
}

Status ViewRunner::ApplyParts(std::vector<LoggedEvent> events, EventLogReader& reader) {
  INDOUBT_RETURN_IF_ERROR(view_->Begin());
  for (;;) {
    if (events.empty())
      return Status(StatusCode::kCorrupt, "the event log ends within a transaction");
    const auto last = std::find_if_not(events.begin(), events.end(), IsPart);
    const bool complete = last != events.end();
    if (complete) events.erase(last + 1, events.end());
    const LoggedEvent& end = events.back();
    const EventPosition to = end.position;
    const uint64_t sequence = end.sequence;
    INDOUBT_RETURN_IF_ERROR(Admit(events, reader));
    INDOUBT_RETURN_IF_ERROR(CheckFree(events));
    INDOUBT_RETURN_IF_ERROR(view_->Add(events));
    if (complete) {
      INDOUBT_RETURN_IF_ERROR(view_->Commit({log_.id(), to}));
      SetPosition(to, sequence);
      return HitFailPoint("cdc_applied", view_->name());
    }
    if (stop_.is_set()) return Status(StatusCode::kAborted, "the CDC worker is stopping");
    INDOUBT_ASSIGN_OR_RETURN(events, reader.Read(to, kMaxEvents, kMaxBytes));
  }
}

Result<std::vector<LoggedEvent>> ViewRunner::ReadNext(EventLogReader& reader,
                                                      const LogEnd& end) {
  INDOUBT_ASSIGN_OR_RETURN(
      auto events,
      reader.Read(position_, position_ < careful_until_ ? 1 : kMaxEvents, kMaxBytes));
  if (events.empty() && end.last > position_) {
    return Status(StatusCode::kCorrupt, "the event log ends before its end");
  }
  return events;
}

// Up to where a reader holds the view, and there exactly, although no event may be there.
Status ViewRunner::ApplyUpTo(EventPosition held, EventLogReader& reader, const LogEnd& end) {
  if (position_ >= held) {
    stop_.SleepUntil(SystemClock().Now() + kHeldLook);
    return Status::Ok();
  }
  INDOUBT_ASSIGN_OR_RETURN(auto events, ReadNext(reader, end));
  const bool all =
      std::erase_if(events, [&](const LoggedEvent& event) { return event.position > held; }) >
          0 ||
      events.empty();
  if (EndsInParts(events)) return ApplyParts(std::move(events), reader);
  const Status admitted = Admit(events, reader);
  if (events.empty()) {
    INDOUBT_RETURN_IF_ERROR(admitted);
    INDOUBT_RETURN_IF_ERROR(view_->Apply({}, {log_.id(), held}));
    SetPosition(held, applied());
    return Status::Ok();
  }
  return ApplyFree(events, all && admitted.ok() ? held : events.back().position);
}

Status ViewRunner::ApplyNext(EventLogReader& reader, const LogEnd& end) {
  INDOUBT_ASSIGN_OR_RETURN(const auto held, view_->Held());
  if (held && *held <= std::max(end.last, EventPosition{end.complete, 0})) {
    return ApplyUpTo(*held, reader, end);
  }
  if (end.last > position_) {
    INDOUBT_ASSIGN_OR_RETURN(const bool applied_recent, ApplyRecent(reader));
    if (applied_recent) return Status::Ok();
    INDOUBT_ASSIGN_OR_RETURN(auto events, ReadNext(reader, end));
    if (EndsInParts(events)) return ApplyParts(std::move(events), reader);
    const Status admitted = Admit(events, reader);
    if (events.empty()) return admitted;
    const Status applied = ApplyFree(events, events.back().position);
    reader.Recycle(std::move(events));
    return applied;
  }
  // Nothing of ours has happened, but the source went on: move, though not often.
  const TimePoint due = advanced_at_ + kLazyAdvance;
  if (SystemClock().Now() < due) {
    log_.WaitBeyond(position_, due);
    return Status::Ok();
  }
  const EventPosition to{end.complete, 0};
  INDOUBT_RETURN_IF_ERROR(view_->Apply({}, {log_.id(), to}));
  advanced_at_ = SystemClock().Now();
  SetPosition(to, end.last_sequence);
  return Status::Ok();
}

Status ViewRunner::ApplyFree(std::vector<LoggedEvent>& events, EventPosition to) {
  if (!parked_.empty()) {
    size_t free = 0;
    while (free < events.size() && !held_.Touches(RowsOf(events[free]))) ++free;
    if (free == 0) INDOUBT_RETURN_IF_ERROR(LoadParked());  // a rebuild may have ended them
    if (free == 0 && held_.Touches(RowsOf(events.front()))) {
      return ParkEvent(events.front(), "it touches rows of an event that was parked before");
    }
    free = std::max<size_t>(free, 1);
    if (free < events.size()) to = events[free - 1].position;
    events.resize(free);
  }
  return ApplyAll(events, to);
}

Result<bool> ViewRunner::ApplyRecent(EventLogReader& reader) {
  if (!parked_.empty() || position_ < careful_until_) return false;  // one by one
  const auto events = reader.Recent(position_);
  if (!events) return false;
  for (const LoggedEvent& event : *events) {
    if (!guard_.Check(event, reader).ok()) return false;  // what is before it is to be applied
  }
  INDOUBT_RETURN_IF_ERROR(ApplyAll(*events, events->back().position));
  return true;
}

Status ViewRunner::ApplyAll(const std::vector<LoggedEvent>& events, EventPosition to) {
  const Status applied = view_->Apply(events, {log_.id(), to});
  if (!applied.ok()) return AfterRefusal(events, applied);
  SetPosition(to, events.back().sequence);
  return HitFailPoint("cdc_applied", view_->name());
}

Status ViewRunner::AfterRefusal(const std::vector<LoggedEvent>& events, const Status& status) {
  if (!IsForTheEvent(status)) return status;
  if (events.size() > 1) {  // one of them
    careful_until_ = events.back().position;
    return status;
  }
  const EventPosition at = events.front().position;
  refusals_ = at == refused_at_ ? refusals_ + 1 : 1;
  refused_at_ = at;
  if (refusals_ < kRefusals) return status;
  refusals_ = 0;
  INDOUBT_ASSIGN_OR_RETURN(const ViewPosition now, view_->Open());
  if (now.position != position_) return status;  // it was applied: begin anew
  return ParkEvent(events.front(), status.message());
}

Status ViewRunner::ParkEvent(const LoggedEvent& event, const std::string& reason) {
  if (parked_.size() >= kMaxParked) {
    return Status(StatusCode::kRefused,
                  fmt::format("{} events are parked, and no more will be; mend what they were "
                              "refused for ({}), then `indoubt cdc retry {}`",
                              parked_.size(), parked_.front().reason, view_->name()));
  }
  const ParkedEvent parked = Park(event, reason);
  INDOUBT_RETURN_IF_ERROR(view_->Park(parked, {log_.id(), event.position}));
  held_.Add(parked);
  parked_.push_back(parked);
  SetParked();  // first, as in Follow
  SetPosition(event.position, event.sequence);
  return HitFailPoint("cdc_parked", view_->name());
}

Status ViewRunner::LoadParked() {
  INDOUBT_ASSIGN_OR_RETURN(parked_, view_->Parked());
  held_.Clear();
  for (const ParkedEvent& event : parked_) held_.Add(event);
  SetParked();
  return Status::Ok();
}

Status ViewRunner::RetryIfAsked(EventLogReader& reader) {
  if (parked_.empty() || SystemClock().Now() < look_for_retry_at_) return Status::Ok();
  look_for_retry_at_ = SystemClock().Now() + kLookForRetry;
  INDOUBT_RETURN_IF_ERROR(LoadParked());  // a rebuild may have put an end to them
  INDOUBT_ASSIGN_OR_RETURN(const bool asked, view_->RetryAsked());
  if (!asked) return Status::Ok();
  ParkedRows still_held;
  for (const ParkedEvent& event : parked_) {
    INDOUBT_RETURN_IF_ERROR(Retry(event, reader, still_held));
  }
  INDOUBT_RETURN_IF_ERROR(view_->EndRetry());
  return LoadParked();
}

// Under on_view_lag = "stop" retention does not wait for what is parked.
Result<std::optional<LoggedEvent>> ViewRunner::ReadParked(EventPosition position,
                                                          EventLogReader& reader) {
  auto events = reader.Read(JustBefore(position), 1, kMaxBytes);
  if (!events && events.error().code() != StatusCode::kNotFound) return events.error();
  if (!events || events->empty() || events->front().position != position) {
    return std::optional<LoggedEvent>();
  }
  return std::optional(std::move(events->front()));
}

Status ViewRunner::Retry(const ParkedEvent& parked, EventLogReader& reader,
                         ParkedRows& still_held) {
  const auto keep = [&](const std::string& reason) {
    still_held.Add(parked);
    return view_->Park({parked.position, reason, parked.rows}, {log_.id(), position_});
  };
  if (still_held.Touches(parked.rows)) {
    return keep("it touches rows of an event that is still parked");
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto event, ReadParked(parked.position, reader));
  if (!event) return keep(WhyGone(parked, view_->name()));
  const Status applied = view_->ApplyParked(*event);
  if (applied.ok()) return HitFailPoint("cdc_retried", view_->name());
  if (!IsForTheEvent(applied)) return applied;
  INDOUBT_RETURN_IF_ERROR(view_->Open().status());
  return keep(applied.message());
}

void ViewRunner::SetParked() {
  const std::lock_guard lock(mutex_);
  state_.parked = parked_.size();
  first_parked_ = parked_.empty() ? std::nullopt : std::optional(parked_.front().position);
  state_.parked_reason = parked_.empty() ? "" : parked_.back().reason;
}

uint64_t ViewRunner::applied() const {
  const std::lock_guard lock(mutex_);
  return sequence_;
}

void ViewRunner::SetPosition(EventPosition position, uint64_t sequence) {
  position_ = position;
  const std::lock_guard lock(mutex_);
  state_.position = position;
  sequence_ = sequence;
  passed_ = {ViewPassed::State::kAt, position};
}

void ViewRunner::SetHealth(const Status& health) {
  const std::lock_guard lock(mutex_);
  state_.health = health;
}

}  // namespace indoubt::cdc_internal
