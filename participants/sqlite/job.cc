#include "participants/sqlite/job.h"

#include "base/text.h"

namespace indoubt::sqlite {

bool IsSecondPhase(const Job& job) {
  return job.kind == JobKind::kCommit || job.kind == JobKind::kRollback ||
         job.kind == JobKind::kForget;
}

void RememberWork(Job& job) {
  if (!job.work) return;
  job.results_before = job.work->results.size();
  job.result_bytes_before = job.work->result_bytes;
  if (job.kind == JobKind::kWork) job.changes_before = job.work->changes;
}

void UndoInMemory(Job& job) {
  if (!job.work) return;
  job.work->results.resize(job.results_before);
  job.work->result_bytes = job.result_bytes_before;
  if (job.kind == JobKind::kWork) job.work->changes = std::move(job.changes_before);
}

void Answer(Job& job) {
  const Status& status = job.attempt.status;
  switch (job.kind) {
    case JobKind::kWork:
      if (!status.ok()) return job.on_work(Status(status.code(), OneLine(status.message())));
      return job.on_work(job.work->results);
    case JobKind::kPrepare: {
      PrepareReply reply;
      reply.vote.kind = !status.ok()            ? VoteKind::kNo
                        : job.attempt.read_only ? VoteKind::kReadOnly
                                                : VoteKind::kYes;
      reply.vote.reason = OneLine(status.message());
      if (reply.vote.kind == VoteKind::kYes) reply.vote.token = job.attempt.token;
      reply.results = job.work->results;
      return job.on_prepare(std::move(reply));
    }
    case JobKind::kOnePhase:
      return job.on_one_phase(
          {status.ok() ? OnePhaseKind::kCommitted : OnePhaseKind::kRolledBack,
           OneLine(status.message()), job.work->results});
    case JobKind::kCommit:
    case JobKind::kRollback:
      job.ack.reason = OneLine(job.ack.reason);
      return job.on_ack(job.ack);
    case JobKind::kForget:
      return;
  }
}

void AnswerFailure(Job& job, const Status& status, bool unknown) {
  job.attempt = Attempt();
  job.attempt.status = status;
  job.ack = {AckKind::kRetry, status.message()};
  if (unknown && job.kind == JobKind::kPrepare) {
    return job.on_prepare({{VoteKind::kUnknown, "", OneLine(status.message())}, {}});
  }
  if (unknown && job.kind == JobKind::kOnePhase) {
    return job.on_one_phase({OnePhaseKind::kUnknown, OneLine(status.message()), {}});
  }
  Answer(job);
}

}  // namespace indoubt::sqlite
