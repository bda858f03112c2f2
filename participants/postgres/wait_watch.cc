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

/// Cancels the statement of a backend, if that still waits and still is the branch's.
/// The signal has been sent when the answer arrives.
Command Cancel(int pid, const Gid& gid) {
  return {.text =
              "SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity "
              "WHERE pid = $1::int AND application_name = $2 AND wait_event_type = 'Lock'",
          .params = {Value{int64_t{pid}}, Value{gid.ToString()}}};
}

std::string GaveWay(const Gid& gid, const Gid& holder) {
  return fmt::format(
      "waited for a lock of {} {} and gave way (wait-die)",
      holder == gid ? "another branch of its own transaction" : "the older transaction",
      holder.ToString());
}

}  // namespace

void WaitWatch::Run(const std::shared_ptr<Lease>& lease, const Gid& gid,
                    std::vector<Command> commands, TimePoint limit, ScriptCallback done) {
  const int pid = lease->backend_pid();
  const TimePoint now = SystemClock().Now();
  scripts_.insert_or_assign(
      pid, Script{.lease = lease, .gid = gid, .started = now, .done = std::move(done)});
  Arm(now + kPatience);
  lease->Run(std::move(commands), limit,
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
    commands.push_back(Cancel(victim.pid, script.gid));
  }
  lease->Run(std::move(commands), SystemClock().Now() + kAskLimit,
             [this, lease, victims](ScriptReply reply) {
               reply.replies.resize(victims.size());
               for (size_t i = 0; i < victims.size(); ++i) {
                 OnCancelled(victims[i].pid, victims[i].holder, reply.replies[i]);
               }
             });
}

void WaitWatch::OnReply(int pid, ScriptReply reply) {
  Script& script = scripts_.at(pid);
  if (!script.being_cancelled) return End(pid, std::move(reply));
  script.reply = std::move(reply);
}

void WaitWatch::OnCancelled(int pid, const Gid& holder, const Reply& answer) {
  Script& script = scripts_.at(pid);
  script.being_cancelled = false;
  if (answer.kind != Reply::Kind::kDone) {
    script.lease->Taint();  // the signal may come at any time: not to another branch
  } else if (!answer.result.values.empty()) {
    script.gave_way_to = holder;  // else it had stopped waiting just before
  }
  if (script.reply) End(pid, *std::exchange(script.reply, std::nullopt));
}

void WaitWatch::End(int pid, ScriptReply reply) {
  Script script = std::move(scripts_.extract(pid).mapped());
  const std::optional<size_t> error = reply.FirstError();
  if (script.gave_way_to && error && reply.replies[*error].sqlstate == kQueryCanceled) {
    reply.replies[*error].message = GaveWay(script.gid, *script.gave_way_to);
  }
  script.lease.reset();
  script.done(std::move(reply));
}

}  // namespace indoubt::pg
