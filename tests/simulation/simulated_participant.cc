#include "tests/simulation/simulated_participant.h"

#include <algorithm>
#include <optional>

namespace indoubt::simulation {
namespace {

/// For one listing or preflight: several stores are asked one after another here.
constexpr Duration kBlockingLimit = std::chrono::milliseconds(300);

constexpr const char* kLost = "no answer";

constexpr const char* kHome = "table";

}  // namespace

class SimulatedBranch final : public LastResourceBranch {
 public:
  SimulatedBranch(SimulatedParticipant& participant, const Gid& gid, TimePoint deadline)
      : participant_(participant), gid_(gid), deadline_(deadline) {}

  void Work(std::vector<Statement>, WorkCallback done) override {
    done(std::vector<StatementResult>{});
  }
  void Prepare(std::vector<Statement> last, PrepareCallback done) override {
    Request request = RequestOf(MessageKind::kPrepare, last);
    participant_.Send(std::move(request), deadline_, [done](const Reply& reply) {
      if (reply.answered) return done({reply.vote, {}});
      done({{VoteKind::kUnknown, "", kLost}, {}});
    });
  }
  void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) override {
    Request request = RequestOf(MessageKind::kOnePhase, last);
    participant_.Send(std::move(request), deadline_, [done](const Reply& reply) {
      done({reply.one_phase, reply.answered ? "simulated" : kLost, {}});
    });
  }
  void CommitDecision(std::vector<Statement> last, std::vector<BranchRecord> others,
                      OnePhaseCallback done) override {
    Request request = RequestOf(MessageKind::kDecide, last);
    request.others = std::move(others);
    participant_.Send(std::move(request), deadline_, [done](const Reply& reply) {
      done({reply.one_phase, reply.answered ? "simulated" : kLost, {}});
    });
  }

 private:
  Request RequestOf(MessageKind kind, const std::vector<Statement>& last) const {
    Request request{.kind = kind, .gid = gid_};
    request.session = participant_.store_.session();
    request.order = std::stoi(last.front().text);
    return request;
  }

  SimulatedParticipant& participant_;
  const Gid gid_;
  const TimePoint deadline_;
};

SimulatedParticipant::SimulatedParticipant(size_t index, bool is_last_resource,
                                           Process& process, Store& store, Network& network,
                                           uint64_t& next_call, Told told)
    : index_(index),
      is_last_resource_(is_last_resource),
      process_(process),
      store_(store),
      network_(network),
      next_call_(next_call),
      told_(std::move(told)) {}

SimulatedParticipant::~SimulatedParticipant() {
  while (!open_.empty()) Over(open_.begin()->first, Reply{});
  *here_ = false;
}

void SimulatedParticipant::Send(Request request, TimePoint deadline, Finish finish) {
  if (!process_.alive()) return finish(Reply{});
  const uint64_t call = request.call = next_call_++;
  Call& mine = open_[call];
  mine.finish = std::move(finish);
  mine.timeout = process_.events().ScheduleAt(deadline, [this, call] { Over(call, Reply{}); });
  const MessageKind kind = request.kind;
  const Gid gid = request.gid;
  mine.request = std::move(request);
  if (kind == MessageKind::kPrepare) preparing_[gid] = call;
  const auto preparing = preparing_.find(gid);
  if (kind == MessageKind::kRollback && preparing != preparing_.end()) {
    open_.at(preparing->second).after.push_back(call);
    return;
  }
  SendNow(call);
}

void SimulatedParticipant::SendNow(uint64_t call) {
  const auto place = open_.find(call);
  if (place == open_.end()) return;  // has timed out meanwhile
  const Request& request = place->second.request;
  if (!process_.Step(ToString(request.kind), index_)) return Over(call, Reply{});
  told_(request.kind, request.gid);
  network_.Send(index_, request, [this, call, here = here_](const Reply& reply) {
    if (*here && process_.alive()) Over(call, reply);
  });
}

void SimulatedParticipant::Over(uint64_t call, const Reply& reply) {
  const auto place = open_.find(call);
  if (place == open_.end()) return;  // answered before, or given up
  const Call mine = std::move(place->second);
  open_.erase(place);
  process_.events().Cancel(mine.timeout);
  if (mine.request.kind == MessageKind::kPrepare) preparing_.erase(mine.request.gid);
  process_.trace().Add(reply.answered ? "answer" : "no answer", ToString(mine.request.kind),
                       index_, mine.request.gid.number);
  mine.finish(reply);
  for (const uint64_t after : mine.after) SendNow(after);
}

std::unique_ptr<Branch> SimulatedParticipant::Begin(const Gid& gid, TimePoint deadline) {
  return std::make_unique<SimulatedBranch>(*this, gid, deadline);
}

void SimulatedParticipant::Decide(MessageKind kind, const Gid& gid, const Token& token,
                                  TimePoint deadline, AckCallback done) {
  Send({.kind = kind, .gid = gid, .token = token}, deadline,
       [done = std::move(done)](const Reply& reply) {
         done(reply.answered ? reply.ack : Ack{AckKind::kRetry, kLost});
       });
}

void SimulatedParticipant::Commit(const Gid& gid, const Token& token, TimePoint deadline,
                                  AckCallback done) {
  Decide(MessageKind::kCommit, gid, token, deadline, std::move(done));
}

void SimulatedParticipant::Rollback(const Gid& gid, const Token& token, TimePoint deadline,
                                    AckCallback done) {
  Decide(MessageKind::kRollback, gid, token, deadline, std::move(done));
}

Result<Reply> SimulatedParticipant::SendAndWait(Request request, TimePoint deadline) {
  deadline = std::min(deadline, process_.events().Now() + kBlockingLimit);
  const auto answer = std::make_shared<std::optional<Reply>>();
  Send(std::move(request), deadline, [answer](const Reply& reply) { *answer = reply; });
  process_.WaitUntil(deadline + std::chrono::milliseconds(1),
                     [answer] { return answer->has_value(); });
  if (*answer && (*answer)->answered) return **answer;
  return Status(StatusCode::kUnavailable, name() + ": no answer");
}

Result<PreflightReport> SimulatedParticipant::Preflight(TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(const Reply reply,
                           SendAndWait({.kind = MessageKind::kPreflight}, deadline));
  if (is_last_resource_) home_ = kHome;
  return PreflightReport{"simulated", {}, {}, {}};
}

Result<std::vector<PreparedBranch>> SimulatedParticipant::ListPrepared(TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(const Reply reply,
                           SendAndWait({.kind = MessageKind::kList}, deadline));
  return reply.prepared;
}

Result<std::vector<Gid>> SimulatedParticipant::ListOutcomes(std::string_view,
                                                            TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(const Reply reply,
                           SendAndWait({.kind = MessageKind::kListOutcomes}, deadline));
  return reply.outcomes;
}

void SimulatedParticipant::Forget(const Gid& gid) {
  Send({.kind = MessageKind::kForget, .gid = gid},
       process_.events().Now() + std::chrono::seconds(5), [](const Reply&) {});
}

// --- As a last resource ------------------------------------------------------------------

std::unique_ptr<LastResourceBranch> SimulatedParticipant::BeginLast(const Gid& gid,
                                                                    TimePoint deadline) {
  return std::make_unique<SimulatedBranch>(*this, gid, deadline);
}

void SimulatedParticipant::Ask(const Gid& gid, TimePoint deadline, StandingCallback done) {
  Send({.kind = MessageKind::kAsk, .gid = gid}, deadline,
       [done = std::move(done)](const Reply& reply) {
         done(reply.answered ? reply.standing : StandingDecision{.reason = kLost});
       });
}

Result<std::vector<Decision>> SimulatedParticipant::ListDecisions(std::string_view,
                                                                  const LogId&,
                                                                  uint32_t incarnation,
                                                                  TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(Reply reply,
                           SendAndWait({.kind = MessageKind::kListRows}, deadline));
  std::erase_if(reply.rows,
                [&](const Decision& row) { return row.gid.incarnation == incarnation; });
  return std::move(reply.rows);
}

void SimulatedParticipant::ForgetDecisions(std::vector<Gid> gids, TimePoint deadline,
                                           DoneCallback done) {
  Send({.kind = MessageKind::kForgetRows, .gids = std::move(gids)}, deadline,
       [this, done = std::move(done)](const Reply& reply) {
         done(reply.answered ? Status::Ok()
                             : Status(StatusCode::kUnavailable, name() + ": no answer"));
       });
}

Status SimulatedParticipant::CloseBelow(const Gid& floor, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(const Reply reply,
                           SendAndWait({.kind = MessageKind::kClose, .gid = floor}, deadline));
  return Status::Ok();
}

}  // namespace indoubt::simulation
