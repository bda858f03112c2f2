// Who gets a connection, and how there come to be any: waiters, grants, connects.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "participants/postgres/pool.h"
#include "participants/postgres/session.h"

namespace indoubt::pg {
namespace {

constexpr Duration kFirstBackoff = std::chrono::milliseconds(20);
constexpr Duration kLongestBackoff = std::chrono::milliseconds(500);
constexpr Duration kConnectLimit = std::chrono::seconds(10);
// A connect (or a cleaning) that takes longer may be to a server that will never answer (half
// open): from then on others try, too.
constexpr Duration kConnectHope = std::chrono::milliseconds(500);
// Between two looks for prepared statements of branches.
constexpr Duration kLookInterval = std::chrono::seconds(1);
// Waiters hold memory of their callers; more than this is overload, not a burst.
constexpr size_t kMaxWaiters = 16384;

}  // namespace

void Pool::Acquire(Lane lane, TimePoint deadline, LeaseCallback done) {
  if (stopping_) return done(Status(StatusCode::kUnavailable, "the participant is shut down"));
  Waiters& waiters = lane == Lane::kPhaseTwo ? phase_two_ : work_;
  if (waiters.size() >= kMaxWaiters) {
    return done(Status(
        StatusCode::kUnavailable,
        fmt::format("{} operations wait for a connection already; slow down", waiters.size())));
  }
  const uint64_t id = next_id_++;
  const TimerKey timer = At(deadline, [this, &waiters, id] {
    const auto found = waiters.find(id);
    const LeaseCallback late = std::move(found->second.done);
    waiters.erase(found);
    late(Status(StatusCode::kDeadlineExceeded, NoneFree()));
  });
  waiters.emplace(id, Waiter{std::move(done), timer});
  Dispatch();
}

std::string Pool::NoneFree() const {
  const bool connecting = std::any_of(slots_.begin(), slots_.end(),
                                      [](const auto& slot) { return !slot.second.ready; });
  if (connecting || slots_.empty()) return "no connection to PostgreSQL came about in time";
  return fmt::format(
      "no free connection to PostgreSQL in time (at most {}; raise max_connections of the "
      "participant or lower the load)",
      max_connections_);
}

std::optional<uint64_t> Pool::FindIdle() {
  for (auto& [id, slot] : slots_) {
    if (!slot.ready || slot.leased || slot.connection->state() != Connection::State::kIdle) {
      continue;
    }
    if (slot.connection->LooksAlive()) return id;
    slot.connection->Break("the server closed the connection");
  }
  return std::nullopt;
}

bool Pool::GrantTo(Waiters& waiters, Lane lane) {
  if (waiters.empty() || (lane == Lane::kWork && work_in_use_ >= max_work_)) return false;
  const std::optional<uint64_t> id = FindIdle();
  if (!id) return false;
  const LeaseCallback done = std::move(waiters.begin()->second.done);
  Cancel(waiters.begin()->second.timer);
  waiters.erase(waiters.begin());
  Slot& slot = slots_.at(*id);
  if (lane == Lane::kWork && !slot.problem.empty()) {
    const Status refused(StatusCode::kRefused, slot.problem);
    slot.tainted = true;  // look again at the next session: it may have been repaired
    slot.connection->Break(slot.problem);
    done(refused);
    return true;
  }
  slot.leased = true;
  slot.lane = lane;
  if (lane == Lane::kWork) ++work_in_use_;
  done(std::shared_ptr<Lease>(new Lease(*this, *id, lane)));
  return true;
}

void Pool::Dispatch() {
  while (GrantTo(phase_two_, Lane::kPhaseTwo) || GrantTo(work_, Lane::kWork)) {
  }
  const size_t free_for_work = max_work_ - std::min(max_work_, work_in_use_);
  const size_t needed = phase_two_.size() + std::min(work_.size(), free_for_work);
  size_t connecting = 0;
  const TimePoint hope_from = SystemClock().Now() - kConnectHope;
  for (const auto& [id, slot] : slots_) {
    connecting += (!slot.ready || slot.returned) && slot.began > hope_from ? 1 : 0;
  }
  while (!stopping_ && connecting < needed && slots_.size() < max_connections_ &&
         SystemClock().Now() >= next_connect_) {
    Connect();
    ++connecting;
  }
}

void Pool::Connect() {
  const uint64_t id = next_id_++;
  Slot& slot = slots_[id];
  slot.connection = std::make_unique<Connection>(where_);
  slot.began = SystemClock().Now();
  At(slot.began + kConnectHope, [] {});  // Dispatch looks again
  slot.limit = At(SystemClock().Now() + kConnectLimit, [this, id] {
    Slot& late = slots_.at(id);
    late.limit.reset();
    late.connection->Break("no connection within 10 s");
  });
}

void Pool::LookAtSession(uint64_t id) {
  Slot& slot = slots_.at(id);
  if (slot.limit) Cancel(*slot.limit);
  slot.limit.reset();
  RunScript(id, {Command{.text = SessionQuery()}}, SystemClock().Now() + kConnectLimit,
            [this, id](const ScriptReply& reply) {
              Slot& looked = slots_.at(id);
              if (reply.lost) return;  // found broken and retired by DeliverReplies
              const Reply& answer = reply.replies.front();
              if (answer.kind != Reply::Kind::kDone) {
                return looked.connection->Break(answer.message);
              }
              looked.problem = SessionProblem(answer.result, prepares_);
              looked.cleaning = {.checks_connection = ChecksConnection(answer.result)};
              looked.established = SystemClock().Now();
              looked.ready = true;
              backoff_ = Duration{};
              next_connect_ = TimePoint{};
            });
}

void Pool::ConnectFailed(const std::string& reason) {
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLongestBackoff);
  next_connect_ = SystemClock().Now() + backoff_;
  for (const auto& [id, slot] : slots_) {
    if (slot.ready) return;  // the waiters can be served by those that live
  }
  const Status why(StatusCode::kUnavailable, "cannot connect to PostgreSQL: " + reason);
  FailAll(phase_two_, why);
  FailAll(work_, why);
}

void Pool::FailAll(Waiters& waiters, const Status& why) {
  Waiters failed;
  failed.swap(waiters);
  for (auto& [id, waiter] : failed) {
    Cancel(waiter.timer);
    waiter.done(why);
  }
}

void Pool::GiveBack(const Lease& lease) {
  const uint64_t id = lease.slot_;
  Slot& slot = slots_.at(id);
  slot.clean_after = false;
  if (slot.connection->state() == Connection::State::kRunning || slot.queued) {
    slot.connection->Break("abandoned while a command ran");
  }
  if (slot.connection->state() == Connection::State::kBroken) return Free(id);
  const bool due = slot.connection->epilogue_due();
  if (!due && IsClean(slot)) return Free(id);
  slot.returned = true;
  slot.began = SystemClock().Now();
  slot.look_again =
      At(slot.began + kConnectHope, [this, id] { slots_.at(id).look_again.reset(); });
  if (!due) returned_.push_back(id);
}

bool Pool::IsClean(const Slot& slot) const {
  if (slot.lane != Lane::kWork || slot.tainted) return !slot.connection->InTransaction();
  return slot.clean && SystemClock().Now() - slot.looked_at <= kLookInterval;
}

void Pool::OnEpilogue(uint64_t id, const ScriptReply& reply) {
  Slot& slot = slots_.at(id);
  // Where it is not clean, the transaction has failed; or else it is tried once more.
  slot.clean = WhyNotClean(reply).empty();
  if (slot.clean) slot.cleaning.committed = false;
  if (slot.queued) return std::exchange(slot.queued, nullptr)();
  if (!slot.returned) return;
  if (slot.connection->state() == Connection::State::kBroken || IsClean(slot)) return Free(id);
  returned_.push_back(id);
}

/// Whether there was anything to clean.
bool Pool::CleanReturned() {
  const std::vector<uint64_t> ids = std::exchange(returned_, {});
  for (const uint64_t id : ids) Clean(id);
  return !ids.empty();
}

void Pool::Clean(uint64_t id) {
  Slot& slot = slots_.at(id);
  std::vector<Command> commands;
  if (slot.connection->InTransaction()) commands.push_back({.text = "ROLLBACK"});
  if (slot.lane == Lane::kWork && !slot.tainted) {
    const TimePoint now = SystemClock().Now();
    const bool look = now - slot.looked_at > kLookInterval;
    if (look) slot.looked_at = now;
    slot.cleaning.look_for_statements = look;
    for (Command& command : CleaningCommands(slot.cleaning)) {
      commands.push_back(std::move(command));
    }
    slot.cleaning.committed = slot.cleaning.look_for_statements = false;
  }
  RunScript(id, std::move(commands), SystemClock().Now() + kCleaningLimit,
            [this, id](const ScriptReply& reply) {
              Slot& cleaned = slots_.at(id);
              const std::string why =
                  cleaned.lane == Lane::kWork && !cleaned.tainted ? WhyNotClean(reply) : "";
              if (!why.empty())
                cleaned.connection->Break("its session is not used again: " + why);
              Free(id);
            });
}

/// What it was lent for is over, and nothing of that is left in its session.
void Pool::Free(uint64_t id) {
  Slot& slot = slots_.at(id);
  if (slot.look_again) Cancel(*std::exchange(slot.look_again, std::nullopt));
  slot.leased = slot.returned = slot.clean = false;
  if (slot.lane == Lane::kWork) --work_in_use_;
  if (slot.tainted) slot.connection->Break("its session may have been changed");
}

void Pool::Retire(uint64_t id) {
  const auto found = slots_.find(id);
  if (found->second.limit) Cancel(*found->second.limit);
  slots_.erase(found);
}

}  // namespace indoubt::pg
