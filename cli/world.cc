#include "cli/world.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/output.h"
#include "recovery/file_log.h"

namespace indoubt::cli {
namespace {

struct Maker {
  Result<std::unique_ptr<Participant>> operator()(const PostgresOptions& options) const {
    return MakePostgresParticipant(options);
  }
  Result<std::unique_ptr<Participant>> operator()(const RedisOptions& options) const {
    return MakeRedisParticipant(options);
  }
  Result<std::unique_ptr<Participant>> operator()(const SqliteOptions& options) const {
    return MakeSqliteParticipant(options);
  }
};

void TellOfAcceptance(const Config& config, const std::string& id, bool accepted) {
  Note(accepted
           ? fmt::format("indoubt: the empty log {} ({}) is accepted from now on; branches "
                         "of this node from another log stay prepared until that log is "
                         "back, or recover is told to --adopt it",
                         id, config.log_path)
           : fmt::format("indoubt: --accept-empty-log: the log {} ({}) is in use already; "
                         "there was nothing to accept",
                         id, config.log_path));
}

/// Between two looks whether somebody serves on a log that is locked.
constexpr Duration kLockPatience = std::chrono::milliseconds(30);

Result<std::unique_ptr<DecisionLog>> OpenLog(const Config& config,
                                             const CoordinatorChoices& choices,
                                             Duration patience) {
  FileLogOptions options;
  options.node = config.node;
  options.outcome_retention = config.outcome_retention;
  options.lock_timeout = patience;
  options.must_exist = choices.empty_log == EmptyLog::kLookOnly;
  auto log = OpenFileLog(PosixFileSystem(), config.log_path, options);
  const StatusCode code = log ? StatusCode::kOk : log.error().code();
  const bool misplaced = code == StatusCode::kNotFound || code == StatusCode::kIoError;
  if (misplaced) return log.error().WithContext(config.log_place);
  return log;
}

Result<std::unique_ptr<Coordinator>> StartOn(
    const Config& config, const CoordinatorChoices& choices, std::unique_ptr<DecisionLog> log,
    std::vector<std::unique_ptr<Participant>> participants) {
  CoordinatorOptions options;
  options.node = config.node;
  options.default_timeout = config.default_timeout;
  options.recovery_interval = choices.recovery_interval;
  options.empty_log = choices.empty_log;
  options.start_patience = std::min(choices.start_patience, options.start_patience);
  options.check_at_start = choices.check_at_start;
  const std::string id(log->id().text());
  INDOUBT_ASSIGN_OR_RETURN(
      auto coordinator, Coordinator::Start(options, std::move(log), std::move(participants)));
  if (choices.empty_log == EmptyLog::kAccept) {
    TellOfAcceptance(config, id, coordinator->accepted_empty_log());
  }
  return coordinator;
}

}  // namespace

Result<std::unique_ptr<Participant>> MakeParticipant(const ParticipantOptions& options) {
  auto made = std::visit(Maker{}, options);
  if (!made) return made.error().WithContext("participants." + NameOf(options));
  return made;
}

Result<std::vector<std::unique_ptr<Participant>>> MakeParticipants(const Config& config) {
  std::vector<std::unique_ptr<Participant>> participants;
  for (const ParticipantOptions& options : config.participants) {
    auto participant = MakeParticipant(options);
    if (!participant) return participant.error().WithContext(config.file);
    participants.push_back(std::move(*participant));
  }
  return participants;
}

Operations& Reached::operations() const {
  if (own_) return *own_;
  return *served_;
}

TransactionExecutor& Reached::executor() const {
  if (own_) return *own_;
  return *served_;
}

Result<Reached> ReachCoordinator(const Config& config, const CoordinatorChoices& choices) {
  INDOUBT_ASSIGN_OR_RETURN(auto participants, MakeParticipants(config));
  const TimePoint deadline = SystemClock().Now() + choices.lock_timeout;
  for (;;) {
    auto log = OpenLog(config, choices, kLockPatience);
    if (log) {
      INDOUBT_ASSIGN_OR_RETURN(
          auto own, StartOn(config, choices, std::move(*log), std::move(participants)));
      return Reached(std::move(own));
    }
    if (log.error().code() != StatusCode::kLocked) return log.error();
    // Who holds it may serve, begin to, or be as short-lived as we are.
    auto served = ControlClient::Connect(config.log_path);
    if (served) {
      if (choices.empty_log == EmptyLog::kAccept) {
        TellOfAcceptance(config, fmt::format("of process {}", (*served)->pid()), false);
      }
      return Reached(std::move(*served));
    }
    const bool interrupted =
        choices.interruption != nullptr && choices.interruption->happened();
    if (interrupted || SystemClock().Now() >= deadline) return log.error();
  }
}

Result<std::unique_ptr<Coordinator>> StartCoordinator(const Config& config,
                                                      const CoordinatorChoices& choices) {
  INDOUBT_ASSIGN_OR_RETURN(auto participants, MakeParticipants(config));
  INDOUBT_ASSIGN_OR_RETURN(auto log, OpenLog(config, choices, choices.lock_timeout));
  return StartOn(config, choices, std::move(log), std::move(participants));
}

}  // namespace indoubt::cli
