#include "cdc/view_runner.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/failpoint.h"
#include "cdc/redis_connection.h"

namespace indoubt::cdc_internal {
namespace {

using std::chrono::milliseconds;

// What one atomic write of a sink takes when the view is behind.
constexpr size_t kMaxEvents = 4096;
constexpr size_t kMaxBytes = size_t{2} << 20;
// How often a position moves that has no event behind it: a sync each time.
constexpr milliseconds kLazyAdvance{100};
// How often a view that a reader holds looks whether it is let go.
constexpr milliseconds kHeldLook{1};
constexpr milliseconds kFirstBackOff{20};
constexpr milliseconds kLastBackOff{2000};

bool IsPart(const LoggedEvent& event) { return event.transaction.part() > 0; }

}  // namespace

ViewRunner::ViewRunner(const ViewOptions& options, std::unique_ptr<View> view,
                       std::vector<std::string> tables, const EventLog& log,
                       const StopSignal& stop)
    : view_(std::move(view)),
      tables_(std::move(tables)),
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

void ViewRunner::Run() {
  const SigpipeBlocked no_signal;  // a sink that has gone is an error like another
  Duration back_off = kFirstBackOff;
  while (!stop_.is_set()) {
    const EventPosition before = position_;
    const Status ended = Follow();
    if (stop_.is_set()) return;
    SetHealth(ended.WithContext("view " + view_->name()));
    back_off = position_ > before ? Duration(kFirstBackOff)
                                  : std::min<Duration>(back_off * 2, kLastBackOff);
    stop_.SleepUntil(SystemClock().Now() + back_off);
  }
}

Status ViewRunner::Follow() {
  INDOUBT_ASSIGN_OR_RETURN(ViewPosition at, view_->Open());
  if (log_.WasId(at.log_id)) {  // from before the slot was lost
    at = {log_.id(), {}};
    INDOUBT_RETURN_IF_ERROR(view_->Clear(tables_, at));
  }
  INDOUBT_RETURN_IF_ERROR(CheckPosition(at));
  INDOUBT_ASSIGN_OR_RETURN(const auto reader, log_.NewReader());
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t sequence, reader->SequenceAt(at.position));
  SetPosition(at.position, sequence);
  guard_.Forget();
  SetHealth(Status::Ok());
  while (!stop_.is_set()) {
    const LogEnd end = log_.end();
    if (end.last > position_ || end.complete > position_.lsn) {
      const Status applied = ApplyNext(*reader, end);
      if (!applied.ok() && view_->hold_changed()) continue;
      INDOUBT_RETURN_IF_ERROR(applied);
    } else {
      const TimePoint deadline = SystemClock().Now() + kLazyAdvance;
      log_.WaitBeyond(position_, deadline);
    }
  }
  return Status::Ok();
}

Status ViewRunner::CheckPosition(const ViewPosition& at) const {
  if (!at.log_id.empty() && at.log_id != log_.id()) {
    return Status(
        StatusCode::kRefused,
        fmt::format("its data was derived from another event log ({}); empty the sink, "
                    "position included, to derive it anew",
                    at.log_id.substr(0, 40)));
  }
  if (at.position.lsn > log_.end().complete) {
    return Status(
        StatusCode::kCorrupt,
        fmt::format("it is at {}, beyond the event log's end {}: the log lost what it "
                    "had; begin with a new log and empty sinks",
                    at.position.lsn.ToString(), log_.end().complete.ToString()));
  }
  return Status::Ok();
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

// Up to where a reader holds the view, and there exactly, although no event may be there.
Status ViewRunner::ApplyUpTo(EventPosition held, EventLogReader& reader) {
  if (position_ >= held) {
    stop_.SleepUntil(SystemClock().Now() + kHeldLook);
    return Status::Ok();
  }
  INDOUBT_ASSIGN_OR_RETURN(auto events, reader.Read(position_, kMaxEvents, kMaxBytes));
  const bool all =
      std::erase_if(events, [&](const LoggedEvent& event) { return event.position > held; }) >
          0 ||
      events.empty();
  if (EndsInParts(events)) return ApplyParts(std::move(events), reader);
  const Status admitted = Admit(events, reader);
  if (!admitted.ok() && events.empty()) return admitted;
  const uint64_t sequence = events.empty() ? applied() : events.back().sequence;
  const EventPosition to = all && admitted.ok() ? held : events.back().position;
  INDOUBT_RETURN_IF_ERROR(view_->Apply(events, {log_.id(), to}));
  SetPosition(to, sequence);
  return Status::Ok();
}

Status ViewRunner::ApplyNext(EventLogReader& reader, const LogEnd& end) {
  INDOUBT_ASSIGN_OR_RETURN(const auto held, view_->Held());
  if (held && *held <= std::max(end.last, EventPosition{end.complete, 0})) {
    return ApplyUpTo(*held, reader);
  }
  if (end.last > position_) {
    INDOUBT_ASSIGN_OR_RETURN(auto events, reader.Read(position_, kMaxEvents, kMaxBytes));
    if (events.empty())
      return Status(StatusCode::kCorrupt, "the event log ends before its end");
    if (EndsInParts(events)) return ApplyParts(std::move(events), reader);
    const Status admitted = Admit(events, reader);
    if (events.empty()) return admitted;
    const EventPosition to = events.back().position;
    INDOUBT_RETURN_IF_ERROR(view_->Apply(events, {log_.id(), to}));
    SetPosition(to, events.back().sequence);
    reader.Recycle(std::move(events));
    return HitFailPoint("cdc_applied", view_->name());
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

uint64_t ViewRunner::applied() const {
  const std::lock_guard lock(mutex_);
  return sequence_;
}

void ViewRunner::SetPosition(EventPosition position, uint64_t sequence) {
  position_ = position;
  const std::lock_guard lock(mutex_);
  state_.position = position;
  sequence_ = sequence;
}

void ViewRunner::SetHealth(const Status& health) {
  const std::lock_guard lock(mutex_);
  state_.health = health;
}

}  // namespace indoubt::cdc_internal
