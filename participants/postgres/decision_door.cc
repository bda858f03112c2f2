#include "participants/postgres/decision_door.h"

#include <algorithm>
#include <future>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "participants/postgres/decision_table.h"

namespace indoubt::pg {
namespace {

constexpr int kMostAborts = 1024;  // removed at a time

/// One script; answers its caller once, at the deadline at the latest. Until the script's
/// own end the connection stays out on loan.
class Errand : public std::enable_shared_from_this<Errand> {
 public:
  Errand(std::shared_ptr<Core> core, std::vector<Command> commands, TimePoint deadline,
         ScriptCallback done)
      : core_(std::move(core)),
        commands_(std::move(commands)),
        deadline_(deadline),
        done_(std::move(done)) {}

  void Start() {
    const auto self = shared_from_this();
    timer_ = core_->pool.At(deadline_, [self] {
      self->timer_.reset();
      self->Fail("no answer from PostgreSQL in time");
    });
    core_->pool.Acquire(Lane::kPhaseTwo, deadline_, [self](auto lease) {
      if (!lease) return self->Fail(lease.error().message());
      self->lease_ = *std::move(lease);
      self->lease_->Run(std::move(self->commands_), self->deadline_ + kAnswerGrace,
                        [self](ScriptReply reply) {
                          self->lease_.reset();
                          self->Answer(std::move(reply));
                        });
    });
  }

 private:
  void Fail(const std::string& why) { Answer(ScriptReply{.lost = true, .lost_reason = why}); }
  void Answer(ScriptReply reply) {
    if (timer_) core_->pool.Cancel(*timer_);
    timer_.reset();
    if (!done_) return;
    const ScriptCallback done = std::move(done_);
    done_ = nullptr;
    done(std::move(reply));
  }

  const std::shared_ptr<Core> core_;
  std::vector<Command> commands_;
  const TimePoint deadline_;
  ScriptCallback done_;
  std::optional<TimerKey> timer_;
  std::shared_ptr<Lease> lease_;
};

/// Runs `commands` from any thread.
void Run(const std::shared_ptr<Core>& core, std::vector<Command> commands, TimePoint deadline,
         const ScriptCallback& done) {
  const auto errand = std::make_shared<Errand>(core, std::move(commands), deadline, done);
  if (core->pool.Post([errand] { errand->Start(); })) return;
  done(ScriptReply{.lost = true, .lost_reason = "the participant is shut down"});
}

ScriptReply RunAndWait(const std::shared_ptr<Core>& core, std::vector<Command> commands,
                       TimePoint deadline) {
  auto promise = std::make_shared<std::promise<ScriptReply>>();
  std::future<ScriptReply> reply = promise->get_future();
  Run(core, std::move(commands), deadline,
      [promise](ScriptReply answer) { promise->set_value(std::move(answer)); });
  return reply.get();
}

/// Ok when every command of the script was done.
Status Judge(const ScriptReply& reply) {
  if (const auto error = reply.FirstError()) {
    return Status(StatusCode::kUnavailable, reply.replies[*error].message);
  }
  if (reply.lost) return Status(StatusCode::kUnavailable, reply.lost_reason);
  return Status::Ok();
}

const std::string* TextAt(const Value& row, size_t column) {
  const auto* fields = std::get_if<std::vector<Value>>(&row.held);
  if (fields == nullptr || column >= fields->size()) return nullptr;
  return std::get_if<std::string>(&(*fields)[column].held);
}

/// A transaction whose statements see what was committed before each of them, so that the
/// row of a commit that was waited for is seen.
std::vector<Command> AskScript(const Gid& gid, TimePoint deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SystemClock().Now());
  // A little before the deadline, so that the server's refusal is heard in time.
  const int64_t patience = std::max<int64_t>(1, left.count() - left.count() / 10);
  return {{.text = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"},
          {.text = fmt::format("SET LOCAL lock_timeout = {}", patience)},
          InsertAbortRow(gid),
          SelectRow(gid),
          {.text = "COMMIT"}};
}

StandingDecision ReadStanding(const ScriptReply& reply) {
  constexpr size_t kSelect = 3, kCommit = 4;
  // The abort row counts once it is durable.
  if (reply.replies.size() <= kCommit || reply.replies[kCommit].tag != "COMMIT") {
    const Status why = Judge(reply);
    return {.reason = why.ok() ? "the abort row could not be committed" : why.message()};
  }
  const std::vector<Value>& rows = reply.replies[kSelect].result.values;
  const std::string* decision = rows.size() == 1 ? TextAt(rows.front(), 0) : nullptr;
  const std::string* branches = rows.size() == 1 ? TextAt(rows.front(), 1) : nullptr;
  if (decision == nullptr || branches == nullptr) {
    return {.reason = "the decision table gave no row"};
  }
  if (*decision == "abort") return {.outcome = DecisionOutcome::kAborted};
  auto named = DecodeBranches(*branches);
  if (*decision != "commit" || !named) {
    return {.reason = "the decision table holds a row that this version does not know"};
  }
  return {.outcome = DecisionOutcome::kCommitted, .branches = *std::move(named)};
}

Result<std::vector<Gid>> SelectAborts(const std::shared_ptr<Core>& core, const Gid& floor,
                                      TimePoint deadline) {
  const ScriptReply reply =
      RunAndWait(core, {SelectAbortRows(floor.node.view(), floor.log, kMostAborts)}, deadline);
  INDOUBT_RETURN_IF_ERROR(Judge(reply));
  std::vector<Gid> gids;
  for (const Value& row : reply.replies.front().result.values) {
    const std::string* text = TextAt(row, 0);
    auto gid = Gid::Parse(text == nullptr ? "" : *text);
    if (gid) gids.push_back(*std::move(gid));
  }
  return gids;
}

}  // namespace

void AskStanding(const std::shared_ptr<Core>& core, const Gid& gid, TimePoint deadline,
                 StandingCallback done) {
  Run(core, AskScript(gid, deadline), deadline,
      [done = std::move(done)](const ScriptReply& reply) { done(ReadStanding(reply)); });
}

Result<std::vector<Decision>> ListDecisions(const std::shared_ptr<Core>& core,
                                            std::string_view node, const LogId& log,
                                            uint32_t incarnation, TimePoint deadline) {
  const ScriptReply reply = RunAndWait(
      core, {SelectCommitRows(node, log, incarnation, LastResource::kMostListed)}, deadline);
  INDOUBT_RETURN_IF_ERROR(Judge(reply));
  std::vector<Decision> decisions;
  for (const Value& row : reply.replies.front().result.values) {
    const std::string* text = TextAt(row, 0);
    const std::string* named = TextAt(row, 1);
    auto gid = Gid::Parse(text == nullptr ? "" : *text);
    auto branches = DecodeBranches(named == nullptr ? "?" : *named);
    if (!gid || !branches) {
      return Status(StatusCode::kCorrupt,
                    fmt::format("the decision table holds a row that this version does not "
                                "know: {}",
                                text == nullptr ? "" : text->substr(0, 80)));
    }
    decisions.push_back({*std::move(gid), *std::move(branches)});
  }
  return decisions;
}

void ForgetDecisions(const std::shared_ptr<Core>& core, const std::vector<Gid>& gids,
                     TimePoint deadline, DoneCallback done) {
  Run(core, {DeleteCommitRows(gids)}, deadline,
      [done = std::move(done)](const ScriptReply& reply) { done(Judge(reply)); });
}

Result<int> CloseBelow(const std::shared_ptr<Core>& core, const Gid& floor,
                       TimePoint deadline) {
  // Committed before anybody looks for older snapshots.
  INDOUBT_RETURN_IF_ERROR(Judge(RunAndWait(core, {RaiseFloor(floor)}, deadline)));
  INDOUBT_ASSIGN_OR_RETURN(std::vector<Gid> aborts, SelectAborts(core, floor, deadline));
  const auto closed = [&floor](const Gid& gid) {
    return std::pair(gid.incarnation, gid.number) < std::pair(floor.incarnation, floor.number);
  };
  std::vector<Gid> removable;
  std::copy_if(aborts.begin(), aborts.end(), std::back_inserter(removable), closed);
  if (removable.empty()) return static_cast<int>(aborts.size());
  const ScriptReply removed =
      RunAndWait(core, {DeleteAbortRows(floor.log, removable)}, deadline);
  INDOUBT_RETURN_IF_ERROR(Judge(removed));
  const int64_t gone = removed.replies.front().result.rows.value_or(0);
  return static_cast<int>(static_cast<int64_t>(aborts.size()) - gone);
}

}  // namespace indoubt::pg
