#include "cdc/source/publication_watch.h"

#include <vector>

#include <fmt/format.h>

namespace indoubt::cdc_internal {
namespace {

constexpr std::chrono::seconds kLookEvery{2};
constexpr std::chrono::seconds kAnswerWithin{30};

}  // namespace

PublicationWatch::PublicationWatch(SlotOptions options, PublishedTables tables,
                                   events::PublicationMarks marks, const StopSignal& stop)
    : options_(std::move(options)),
      tables_(std::move(tables)),
      marks_(std::move(marks)),
      stop_(stop) {
  thread_ = std::thread([this] { Run(); });
}

PublicationWatch::~PublicationWatch() { thread_.join(); }

Status PublicationWatch::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void PublicationWatch::Run() {
  while (!stop_.is_set()) {
    auto looked = Look();
    // A table may have been renamed between the two questions of a look.
    if (looked && *looked) looked = Look();
    if (!looked) {
      connection_.reset();
    } else if (*looked) {
      const std::lock_guard lock(mutex_);
      status_ = **looked;
      return;
    }
    stop_.SleepUntil(SystemClock().Now() + kLookEvery);
  }
}

Result<std::optional<Status>> PublicationWatch::Look() {
  const TimePoint deadline = SystemClock().Now() + kAnswerWithin;
  if (!connection_) {
    INDOUBT_ASSIGN_OR_RETURN(connection_,
                             PgConnection::Connect(options_.dsn, false, stop_, deadline));
  }
  INDOUBT_ASSIGN_OR_RETURN(const PublishedTables present,
                           PresentTables(*connection_, tables_, deadline));
  std::set<std::string> names;
  for (const auto& [oid, name] : present) names.insert(name);
  const Status published =
      CheckPublication(*connection_, options_.publication, names, deadline);
  if (published.code() == StatusCode::kRefused || published.code() == StatusCode::kNotFound) {
    return std::optional(
        Status(StatusCode::kRefused,
               fmt::format("the publication was altered while the worker ran, and what it left "
                           "out meanwhile is missing for good: {}",
                           published.message())));
  }
  if (!published.ok()) return published;
  INDOUBT_ASSIGN_OR_RETURN(const auto now,
                           ReadPublicationMarks(*connection_, options_.publication, deadline));
  const Status same = CheckPublicationMarks(options_.publication, marks_, now, present);
  return same.ok() ? std::optional<Status>() : std::optional(same);
}

}  // namespace indoubt::cdc_internal
