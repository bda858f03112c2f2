#include "participants/postgres/listing.h"

#include <charconv>
#include <future>

namespace indoubt::pg {
namespace {

constexpr const char* kListQuery =
    "SELECT gid, transaction::text::bigint, "
    "pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM pg_prepared_xacts "
    "WHERE database = current_database() AND owner = current_user AND starts_with(gid, 'idt:')";

using Listed = Result<std::vector<PreparedBranch>>;

Listed ReadBranches(const ScriptReply& reply) {
  const Reply answer = reply.replies.empty() ? Reply{} : reply.replies.front();
  if (answer.kind == Reply::Kind::kError)
    return Status(StatusCode::kUnavailable, answer.message);
  if (answer.kind == Reply::Kind::kSkipped) {
    return Status(StatusCode::kUnavailable, "connection lost: " + reply.lost_reason);
  }
  std::vector<PreparedBranch> branches;
  for (const Value& value : answer.result.values) {
    const auto& row = std::get<std::vector<Value>>(value.held);
    auto id = BranchId::Parse(std::get<std::string>(row.at(0).held));
    if (!id) continue;  // the prefix alone does not make it ours
    const auto xid = static_cast<uint32_t>(std::get<int64_t>(row.at(1).held));
    const auto next = static_cast<uint64_t>(std::get<int64_t>(row.at(2).held));
    branches.push_back({*std::move(id), std::to_string(WidenXid(xid, next))});
  }
  return branches;
}

}  // namespace

uint64_t WidenXid(uint32_t xid, uint64_t next) {
  constexpr uint64_t kTurn = uint64_t{1} << 32;
  const uint64_t same_turn = (next & ~(kTurn - 1)) | xid;
  return same_turn < next || same_turn < kTurn ? same_turn : same_turn - kTurn;
}

Listed ListPrepared(Core& core, TimePoint deadline) {
  auto promise = std::make_shared<std::promise<Listed>>();
  std::future<Listed> listed = promise->get_future();
  const bool posted = core.pool.Post([&core, deadline, promise] {
    core.pool.Acquire(Lane::kPhaseTwo, deadline, [deadline, promise](auto lease) {
      if (!lease) return promise->set_value(lease.error());
      // The callback holds the lease until the reply is there.
      const std::shared_ptr<Lease> held = *lease;
      held->Run({Command{.text = kListQuery}}, deadline,
                [held, promise](const ScriptReply& reply) {
                  promise->set_value(ReadBranches(reply));
                });
    });
  });
  if (!posted) return Status(StatusCode::kUnavailable, "the participant is shut down");
  return listed.get();
}

}  // namespace indoubt::pg
