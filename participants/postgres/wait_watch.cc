#include "participants/postgres/wait_watch.h"

#include <utility>

#include <fmt/format.h>

namespace indoubt::pg {
namespace {

// How long a script may go without an answer before anybody asks why. A short queue at
// a busy row passes meanwhile.
constexpr Duration kPatience = std::chrono::milliseconds(50);
// Between questions, and so how long the same older transaction must have been in the
// way, seen twice: one that commits soon is not worth an abort.
constexpr Duration kAskInterval = std::chrono::milliseconds(50);
// A server that takes longer has other troubles than a deadlock.
constexpr Duration kAskLimit = std::chrono::seconds(5);
constexpr std::string_view kQueryCanceled = "57014";
constexpr const char* kTimeIsUp = "cancelled, as the transaction's deadline is near";

/// Cancels the statement of a backend, if that still is the branch's (and waits for a lock).
/// The signal has been sent when the answer arrives.
Command Cancel(int pid, const Gid& gid, bool if_it_waits) {
  return {.text =
              "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity "
              "WHERE pid = $1::int AND application_name = $2 AND (wait_event_type = 'Lock' OR "
              "NOT $3::bool)",
          .params = {Value{int64_t{pid}}, Value{gid.ToString()}, Value{if_it_waits}}};
}

std::string GaveWay(const Gid& gid, const Gid& holder) {
  return fmt::format(
      "waited for a lock of {} {} and gave way (wait-die)",
      holder == gid ? "another branch of its own transaction" : "the older transaction",
      holder.ToString());
}

}  // namespace

void WaitWatch::Run(const std::shared_ptr<Lease>& lease, const Gid& gid,
                    std::vector<Command> commands, const Limits& limits, ScriptCallback done) {
  const int pid = lease->backend_pid();
  const TimePoint now = SystemClock().Now();
  scripts_.insert_or_assign(
      pid, Script{.lease = lease,
                  .gid = gid,
                  .started = now,
                  .done = std::move(done),
                  .time_up = pool_.At(limits.cancel, [this, pid] { TimeIsUp(pid); })});
  Arm(now + kPatience);
  lease->Run(std::move(commands), limits.close,
             [this, pid](ScriptReply reply) { OnReply(pid, std::move(reply)); });
}

void WaitWatch::Arm(TimePoint when) {
  if (armed_) return;
  armed_ = true;
  pool_.At(when, [this] {
    armed_ = false;
    Look();
  });
}

/// Asks when a script has run out of patience, else comes back when one could have.
void WaitWatch::Look() {
  if (scripts_.empty() || pool_.stopping()) return;
  TimePoint oldest = TimePoint::max();
  for (const auto& [pid, script] : scripts_) oldest = std::min(oldest, script.started);
  if (oldest + kPatience > SystemClock().Now()) return Arm(oldest + kPatience);
  Ask();
}

void WaitWatch::Ask() {
  armed_ = true;
  const TimePoint limit = SystemClock().Now() + kAskLimit;
  pool_.Acquire(Lane::kPhaseTwo, limit, [this, limit](auto acquired) {
    if (!acquired) return Judge(nullptr, LockGraph());
    // The callback holds the lease until the reply is there.
    const std::shared_ptr<Lease> lease = *acquired;
    lease->Run({AskLockWaits()}, limit,
               [this, lease](const ScriptReply& reply) { Judge(lease, LockGraph(reply)); });
  });
}

void WaitWatch::Judge(const std::shared_ptr<Lease>& lease, const LockGraph& graph) {
  armed_ = false;
  std::vector<Victim> victims;
  for (auto& [pid, script] : scripts_) {
    const std::optional<Gid> before =
        std::exchange(script.in_the_way, graph.MustGiveWayTo(pid, script.gid));
    const bool again = script.in_the_way && script.in_the_way == before;
    if (again && !script.being_cancelled) victims.push_back({pid, *before});
  }
  if (!victims.empty()) CancelAll(lease, victims);
  if (!scripts_.empty() && !pool_.stopping()) Arm(SystemClock().Now() + kAskInterval);
}

/// Again and again until it has ended: a cancel has no effect between two commands, and
/// another victim's may be under way.
void WaitWatch::TimeIsUp(int pid) {
  if (pool_.stopping()) return;
  Script& script = scripts_.at(pid);
  script.time_up = pool_.At(SystemClock().Now() + kAskInterval, [this, pid] { TimeIsUp(pid); });
  if (script.being_cancelled) return;
  const TimePoint limit = SystemClock().Now() + kAskLimit;
  pool_.Acquire(Lane::kPhaseTwo, limit, [this, pid, started = script.started](auto acquired) {
    const auto found = scripts_.find(pid);
    if (!acquired || found == scripts_.end() || found->second.being_cancelled ||
        found->second.started != started) {
      return;
    }
    CancelAll(*acquired, {{.pid = pid}});
  });
}

/// Until the answer is there a victim's reply is kept back and so its connection out on
/// loan: a cancel that comes late hits its own branch or nothing. If it hits a
/// statement, that fails, and the vote is no; if the PREPARE, the vote is unknown, as
/// after anybody's cancel; after the last command PostgreSQL ignores it.
void WaitWatch::CancelAll(const std::shared_ptr<Lease>& lease,
                          const std::vector<Victim>& victims) {
  std::vector<Command> commands;
  for (const Victim& victim : victims) {
    Script& script = scripts_.at(victim.pid);
    script.being_cancelled = true;
    commands.push_back(Cancel(victim.pid, script.gid, victim.holder.has_value()));
  }
  lease->Run(std::move(commands), SystemClock().Now() + kAskLimit,
             [this, lease, victims](ScriptReply reply) {
               reply.replies.resize(victims.size());
               for (size_t i = 0; i < victims.size(); ++i) {
                 OnCancelled(victims[i], reply.replies[i]);
               }
             });
}

void WaitWatch::OnReply(int pid, ScriptReply reply) {
  Script& script = scripts_.at(pid);
  if (!script.being_cancelled) return End(pid, std::move(reply));
  script.reply = std::move(reply);
}

void WaitWatch::OnCancelled(const Victim& victim, const Reply& answer) {
  Script& script = scripts_.at(victim.pid);
  script.being_cancelled = false;
  if (answer.kind != Reply::Kind::kDone) {
    script.lease->Taint();  // the signal may come at any time: not to another branch
  } else if (!answer.result.values.empty()) {
    // Without a row it had stopped waiting just before.
    script.gave_way_to = victim.holder;
    script.time_is_up = !victim.holder;
  }
  if (script.reply) End(victim.pid, *std::exchange(script.reply, std::nullopt));
}

void WaitWatch::End(int pid, ScriptReply reply) {
  Script script = std::move(scripts_.extract(pid).mapped());
  pool_.Cancel(script.time_up);
  const std::optional<size_t> error = reply.FirstError();
  if (error && reply.replies[*error].sqlstate == kQueryCanceled) {
    std::string& message = reply.replies[*error].message;
    if (script.time_is_up) message = kTimeIsUp;
    if (script.gave_way_to) message = GaveWay(script.gid, *script.gave_way_to);
  }
  script.lease.reset();
  script.done(std::move(reply));
}

}  // namespace indoubt::pg
