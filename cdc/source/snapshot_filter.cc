#include "cdc/source/snapshot_filter.h"

#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cdc/source/source_table.h"
#include "cdc/view.h"

namespace indoubt::cdc_internal {
namespace {

using Progress = events::SnapshotProgress;

constexpr std::chrono::seconds kPatience{30};
constexpr size_t kMaxKeysAtOnce = 1000;

template <typename Messages>
auto* FindOid(const Messages& messages, uint32_t oid) {
  const auto oid_of = [](const auto& message) {
    if constexpr (requires { message.shape(); }) {
      return message.shape().oid();
    } else {
      return message.oid();
    }
  };
  const auto found = std::find_if(messages.begin(), messages.end(),
                                  [&](const auto& message) { return oid_of(message) == oid; });
  return found == messages.end() ? nullptr : &*found;
}

// What is left of a change whose row shows the change already before it, or after it.
Status Reduce(events::Change& change, bool old_kept, bool new_kept) {
  if (change.kind() != events::Change::UPDATE || old_kept == new_kept) return Status::Ok();
  // The row went from one attempt's range into another's.
  if (old_kept) {
    change.set_kind(events::Change::DELETE);
    change.clear_after();
    return Status::Ok();
  }
  for (const events::Datum& value : change.after().values()) {
    if (!value.unchanged()) continue;
    return Status(StatusCode::kUnsupported,
                  "a row with a large value changed its key while the snapshot was copied in "
                  "several attempts, and the stream does not have that value; drop the slot "
                  "and begin with a new event log");
  }
  change.set_kind(events::Change::INSERT);
  change.clear_before();
  change.clear_before_is_key();
  return Status::Ok();
}

}  // namespace

Result<VisibleTransactions> VisibleTransactions::Parse(const std::string& text) {
  VisibleTransactions parsed;
  std::vector<uint64_t> numbers;
  const char* at = text.data();
  const char* end = at + text.size();
  for (int i = 0; at < end; ++i) {
    uint64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) break;
    numbers.push_back(number);
    at = next;
    if (at < end && *at == (i < 2 ? ':' : ',')) ++at;
  }
  if (at != end || numbers.size() < 2) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("\"{}\" is no snapshot of PostgreSQL's", text.substr(0, 80)));
  }
  parsed.xmin_ = numbers[0];
  parsed.xmax_ = numbers[1];
  parsed.running_.assign(numbers.begin() + 2, numbers.end());
  std::sort(parsed.running_.begin(), parsed.running_.end());
  return parsed;
}

bool VisibleTransactions::Sees(uint32_t xid) const {
  // The 64 bits of the one that is nearest to xmax.
  const auto distance = static_cast<int32_t>(xid - static_cast<uint32_t>(xmax_));
  const uint64_t full = xmax_ + static_cast<uint64_t>(static_cast<int64_t>(distance));
  if (full < xmin_) return true;
  if (full >= xmax_) return false;
  return !std::binary_search(running_.begin(), running_.end(), full);
}

SnapshotFilter::SnapshotFilter(SlotOptions source, Progress progress, const StopSignal& stop)
    : source_(std::move(source)), progress_(std::move(progress)), stop_(stop) {}

Result<const Progress::Attempt*> SnapshotFilter::FirstToSee(uint32_t xid) {
  for (int i = 0; i < progress_.attempts_size(); ++i) {
    const Progress::Attempt& attempt = progress_.attempts(i);
    if (seen_.size() == static_cast<size_t>(i)) {
      INDOUBT_ASSIGN_OR_RETURN(seen_.emplace_back(),
                               VisibleTransactions::Parse(attempt.snapshot()));
    }
    if (seen_[static_cast<size_t>(i)].Sees(xid)) return &attempt;
  }
  return static_cast<const Progress::Attempt*>(nullptr);
}

Status SnapshotFilter::Apply(events::Transaction& transaction, const ShapeTable& shapes) {
  if (transaction.commit_end_lsn() > progress_.copied_until() ||
      transaction.changes_size() == 0) {
    return Status::Ok();
  }
  INDOUBT_ASSIGN_OR_RETURN(const Progress::Attempt* attempt, FirstToSee(transaction.xid()));
  if (attempt == nullptr) return Status::Ok();
  INDOUBT_RETURN_IF_ERROR(ExpandRows(transaction, &shapes));
  std::vector<Part> parts;
  for (int i = 0; i < transaction.changes_size(); ++i) {
    parts.push_back({i, true});
    parts.push_back({i, false});
  }
  std::map<uint32_t, std::vector<Part*>> to_compare;
  for (Part& part : parts) {
    const events::Change& change = transaction.changes(part.change);
    const auto* boundary = FindOid(attempt->boundaries(), change.relation_oid());
    if (boundary == nullptr || change.kind() == events::Change::TRUNCATE) {
      return Status(StatusCode::kCorrupt,
                    "the snapshot was gone on with over a change that it cannot be gone on "
                    "with over; drop the slot and begin with a new event log");
    }
    part.kept = boundary->state() == Progress::WHOLE;
    if (boundary->state() == Progress::PARTLY) to_compare[boundary->oid()].push_back(&part);
  }
  for (auto& [oid, of_table] : to_compare) {
    const auto* table = FindOid(progress_.tables(), oid);
    const auto* boundary = FindOid(attempt->boundaries(), oid);
    for (size_t from = 0; from < of_table.size(); from += kMaxKeysAtOnce) {
      const size_t to = std::min(of_table.size(), from + kMaxKeysAtOnce);
      INDOUBT_RETURN_IF_ERROR(Compare(*table, *boundary, transaction,
                                      {of_table.begin() + static_cast<std::ptrdiff_t>(from),
                                       of_table.begin() + static_cast<std::ptrdiff_t>(to)}));
    }
  }
  google::protobuf::RepeatedPtrField<events::Change> kept;
  for (int i = 0; i < transaction.changes_size(); ++i) {
    const bool old_kept = parts[static_cast<size_t>(2 * i)].kept;
    const bool new_kept = parts[static_cast<size_t>(2 * i) + 1].kept;
    if (!old_kept && !new_kept) continue;
    INDOUBT_RETURN_IF_ERROR(Reduce(*transaction.mutable_changes(i), old_kept, new_kept));
    kept.Add()->Swap(transaction.mutable_changes(i));
  }
  transaction.mutable_changes()->Swap(&kept);
  return Status::Ok();
}

Status SnapshotFilter::Compare(const Progress::Table& table, const Progress::Boundary& boundary,
                               const events::Transaction& transaction,
                               std::vector<Part*> parts) {
  const TimePoint deadline = SystemClock().Now() + kPatience;
  if (!connection_) {
    INDOUBT_ASSIGN_OR_RETURN(connection_,
                             PgConnection::Connect(source_.dsn, false, stop_, deadline));
  }
  std::vector<std::string> comparisons;
  for (const Part* part : parts) {
    const events::Change& change = transaction.changes(part->change);
    // An INSERT has one row, a DELETE too, and so has an UPDATE that left the key alone.
    const bool use_before = change.has_before() && (part->before || !change.has_after());
    const events::Row& row = use_before ? change.before() : change.after();
    google::protobuf::RepeatedPtrField<std::string> key;
    for (const auto& column : table.order()) {
      key.Add(std::string(row.values(static_cast<int>(column.place())).text()));
    }
    comparisons.push_back(fmt::format("{} <= {}", KeyValues(*connection_, table, key),
                                      KeyValues(*connection_, table, boundary.key())));
  }
  const auto answer = connection_->Query(
      fmt::format("SELECT unnest(ARRAY[{}])", fmt::join(comparisons, ", ")), deadline);
  if (!answer || answer->size() != parts.size()) {
    connection_.reset();
    return answer
               ? Status(StatusCode::kUnavailable, "the source compared fewer keys than asked")
               : Status(StatusCode::kUnavailable, answer.error().message());
  }
  for (size_t i = 0; i < parts.size(); ++i) parts[i]->kept = (*answer)[i][0] == "t";
  return Status::Ok();
}

}  // namespace indoubt::cdc_internal
