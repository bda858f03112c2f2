#include "tests/simulation/store.h"

namespace indoubt::simulation {

void Store::Handle(const Request& request, const OnHandled& done) {
  if (request.kind == MessageKind::kDecide) return CommitDecision(request, done);
  done(HandleNow(request));
}

std::optional<Reply> Store::HandleNow(const Request& request) {
  switch (request.kind) {
    case MessageKind::kPrepare:
      return Prepare(request);
    case MessageKind::kOnePhase:
      return OnePhase(request);
    case MessageKind::kCommit:
      return Decide(request, true);
    case MessageKind::kRollback:
      return Decide(request, false);
    case MessageKind::kList:
      return List();
    case MessageKind::kListOutcomes:
      return Reply{.answered = true, .outcomes = outcomes()};
    case MessageKind::kPreflight:
      return Reply{.answered = true};
    case MessageKind::kForget: {
      const auto ended = ended_.find(request.gid);
      if (ended != ended_.end()) ended_.erase(ended);
      return Reply{.answered = true};
    }
    case MessageKind::kDecide:
      break;
    case MessageKind::kAsk:
      return Reply{.answered = true, .standing = decisions_.Ask(request.gid)};
    case MessageKind::kListRows:
      return ListRows();
    case MessageKind::kForgetRows:
      ForgetRows(request.gids);
      return Reply{.answered = true};
    case MessageKind::kClose:
      decisions_.CloseBelow(request.gid);
      return Reply{.answered = true};
  }
  return std::nullopt;
}

std::optional<Reply> Store::Prepare(const Request& request) {
  if (request.session != session_ || !calls_seen_.insert(request.call).second) {
    return std::nullopt;
  }
  invariants_.Reached(request.gid, index_, request.order, request.call);
  Reply reply{.answered = true};
  reply.vote = {nature_.Vote(index_), "", "simulated"};
  invariants_.Voted(request.gid, index_, reply.vote.kind);
  if (reply.vote.kind != VoteKind::kYes) return reply;
  reply.vote.token = name_ + std::string(token_bytes_, 't');
  prepared_[request.gid] = reply.vote.token;
  return reply;
}

std::optional<Reply> Store::OnePhase(const Request& request) {
  if (request.session != session_ || !calls_seen_.insert(request.call).second) {
    return std::nullopt;
  }
  invariants_.Reached(request.gid, index_, request.order, request.call);
  invariants_.CommitsAlone(request.gid);
  Reply reply{.answered = true};
  const bool commits = nature_.Vote(index_) != VoteKind::kNo;
  reply.one_phase = commits ? OnePhaseKind::kCommitted : OnePhaseKind::kRolledBack;
  if (commits) invariants_.Ended(request.gid, index_, BranchEnd::kCommitted);
  return reply;
}

/// Its work, the decision row and the commit are one, and may take a while: also when
/// nobody waits for it any more.
void Store::CommitDecision(const Request& request, const OnHandled& done) {
  if (request.session != session_ || !calls_seen_.insert(request.call).second) {
    return done(std::nullopt);
  }
  invariants_.Reached(request.gid, index_, request.order, request.call);
  const bool begins =
      nature_.Vote(index_) != VoteKind::kNo && decisions_.BeginCommit(request.gid);
  const Duration takes = begins ? nature_.CommitTime(index_) : Duration{};
  if (takes == Duration{}) return done(EndDecision(request, begins));
  events_.ScheduleIn(takes, [this, request, done, session = session_] {
    done(session == session_ ? std::optional(EndDecision(request, true)) : std::nullopt);
  });
}

Reply Store::EndDecision(const Request& request, bool commits) {
  Reply reply{.answered = true};
  reply.one_phase = commits ? OnePhaseKind::kCommitted : OnePhaseKind::kRolledBack;
  invariants_.Voted(request.gid, index_, commits ? VoteKind::kYes : VoteKind::kNo);
  if (!commits) return reply;
  decisions_.Commit(request.gid, request.others);
  invariants_.DecidedByRow(request.gid);
  invariants_.Ended(request.gid, index_, BranchEnd::kCommitted);
  return reply;
}

Reply Store::Decide(const Request& request, bool commit) {
  Reply reply{.answered = true};
  const auto prepared = prepared_.find(request.gid);
  if (prepared != prepared_.end()) {
    const bool known = request.token == prepared->second || (!commit && request.token.empty());
    if (!known) invariants_.Broken(name_ + ": a decision with another branch's token");
    prepared_.erase(prepared);
    ended_[request.gid] = {commit, false};
    invariants_.Ended(request.gid, index_,
                      commit ? BranchEnd::kCommitted : BranchEnd::kRolledBack);
    reply.ack = {AckKind::kDone, ""};
    return reply;
  }
  const auto ended = ended_.find(request.gid);
  if (ended == ended_.end()) {
    // Roll back of what is not there is done; a commit of it cannot be.
    reply.ack =
        commit ? Ack{AckKind::kHeuristic, "the branch is not there"} : Ack{AckKind::kDone, ""};
  } else if (ended->second.committed == commit) {
    reply.ack = {AckKind::kDone, ""};
  } else {
    reply.ack = {AckKind::kHeuristic, ended->second.by_hand
                                          ? "resolved by hand" + std::string(token_bytes_, '.')
                                          : std::string("ended the other way")};
  }
  return reply;
}

Reply Store::List() const {
  Reply reply{.answered = true};
  for (const auto& [gid, token] : prepared_) {
    reply.prepared.push_back({BranchId{gid, name_}, token});
  }
  return reply;
}

std::vector<Gid> Store::outcomes() const {
  std::vector<Gid> outcomes;
  for (const auto& [gid, ended] : ended_) {
    if (ended.committed) outcomes.push_back(gid);
  }
  return outcomes;
}

Reply Store::ListRows() const {
  Reply reply{.answered = true};
  for (const auto& [gid, others] : decisions_.commits()) reply.rows.push_back({gid, others});
  return reply;
}

void Store::ForgetRows(const std::vector<Gid>& gids) {
  for (const Gid& gid : gids) {
    if (decisions_.Remove(gid)) invariants_.RowGone(gid);
  }
}

bool Store::ResolveByHand(const Gid& gid, bool commit) {
  if (prepared_.erase(gid) == 0) return false;
  ended_[gid] = {commit, true};
  invariants_.Ended(gid, index_,
                    commit ? BranchEnd::kCommittedByHand : BranchEnd::kRolledBackByHand);
  return true;
}

}  // namespace indoubt::simulation
