#include "tests/simulation/world.h"

#include <fmt/format.h>

#include "coordinator/live_coordinator.h"
#include "recovery/log_folder.h"
#include "tests/simulation/simulated_log.h"
#include "tests/simulation/simulated_participant.h"
#include "tests/simulation/simulated_runtime.h"

namespace indoubt::simulation {
namespace {

constexpr const char* kFolder = "log";

std::vector<std::string> NamesOf(size_t stores) {
  std::vector<std::string> names;
  for (size_t i = 0; i < stores; ++i)
    names.push_back(std::string(1, static_cast<char>('a' + i)));
  return names;
}

}  // namespace

World::Life::Life(World& world, int number)
    : process(
          world.events_, world.trace_,
          [&world] {
            if (world.healed_) return Death::kNone;
            return world.nature_.BeforeStep([&world] { return world.disk_.HasUnsynced(); });
          },
          [&world](Death death) { world.OnDeath(death); }),
      disk(
          world.disk_, process,
          [&world](DiskStep step) {
            return world.healed_ ? DiskFate::kDone : world.nature_.OfDisk(step);
          },
          [&world] { world.OnDurable(); }) {
  world.trace_.Add("life", "", static_cast<uint64_t>(number));
}

World::World(Nature& nature, WorldOptions options)
    : nature_(nature),
      options_(options),
      trace_(events_, options.keep_trace),
      invariants_(NamesOf(options.stores)),
      network_(events_, stores_, nature, trace_) {
  for (size_t i = 0; i < options.stores; ++i) {
    stores_.emplace_back(i, NamesOf(options.stores)[i], options.token_bytes, events_, nature_,
                         invariants_);
  }
  events_.AfterEach([this] { invariants_.CheckStep(); });
  tasks_.emplace_back([this] { StartLife(); });
}

World::~World() {
  if (life_) life_->process.Die(Death::kKilled, "the end");
}

// --- Lives of the coordinator's process ------------------------------------------------

void World::StartLife() {
  if (life_) return;
  life_ = std::make_unique<Life>(*this, ++lives_);
  auto opened = OpenCoordinator();
  if (opened) {
    life_->coordinator = std::move(*opened);
    return;
  }
  const Status& why = opened.error();
  trace_.Add("cannot start");
  // A disk that fails may stop a start. Nothing else that happens here may.
  if (life_->process.alive() && (healed_ || why.code() != StatusCode::kIoError)) {
    invariants_.Broken("the coordinator cannot start: " + why.ToString());
  }
  life_->process.Die(Death::kKilled, "giving up");
}

Result<std::unique_ptr<Coordinator>> World::OpenCoordinator() {
  FileLogOptions log_options{
      .node = "n", .outcome_retention = options_.outcome_retention, .segment_bytes = 64 << 10};
  log_options.clock = &events_;
  log_options.new_id = *LogId::Parse("simulation");
  INDOUBT_ASSIGN_OR_RETURN(OpenedFolder folder,
                           OpenLogFolder(life_->disk, kFolder, log_options));
  auto log = std::make_unique<SimulatedLog>(
      life_->disk, std::move(folder), log_options, life_->process,
      [this] { return healed_ ? Duration{} : nature_.FlushDelay(); });
  std::vector<std::unique_ptr<Participant>> participants;
  for (size_t i = 0; i < stores_.size(); ++i) {
    participants.push_back(std::make_unique<SimulatedParticipant>(
        i, options_.last_resource && i + 1 == stores_.size(), life_->process, stores_[i],
        network_, next_call_,
        [this, i](MessageKind kind, const Gid& gid) { invariants_.Told(kind, gid, i); }));
  }
  CoordinatorOptions options;
  options.node = "n";
  options.default_timeout = std::chrono::seconds(1);
  options.apply_timeout = std::chrono::seconds(1);
  options.recovery_interval = options_.recovery_interval;
  auto runtime = std::make_unique<SimulatedRuntime>(
      life_->process, [this](std::function<void()> task) { tasks_.push_back(std::move(task)); },
      nature_.Number());
  return indoubt::StartCoordinator(std::move(runtime), options, std::move(log),
                                   std::move(participants));
}

void World::OnDeath(Death death) {
  switch (death) {
    case Death::kNone:
      return;
    case Death::kKilled:
      disk_.KillProcess();
      break;
    case Death::kPowerLost:
      disk_.CutPower(FakeFileSystem::Unsynced::kLost);
      break;
    case Death::kPowerKept:
      disk_.CutPower(FakeFileSystem::Unsynced::kKept);
      break;
    case Death::kPowerTorn:
      disk_.CutPower(FakeFileSystem::Unsynced::kRandom, nature_.Number());
      break;
  }
  OnDurable();
}

void World::OnDurable() {
  auto log = ReadDurableLog(disk_, kFolder, events_, options_.outcome_retention);
  if (!log) {
    invariants_.Broken("what is durable of the log cannot be read: " + log.error().ToString());
    return;
  }
  invariants_.DurableLog(std::move(*log), events_.Now());
}

void World::Bury() {
  life_.reset();
  const Duration delay = healed_ ? std::chrono::milliseconds(10) : nature_.RestartDelay();
  events_.ScheduleIn(delay, [this] { tasks_.emplace_back([this] { StartLife(); }); });
}

// --- Clients, operators ------------------------------------------------------------------

void World::WhileUp(std::function<void()> task) {
  tasks_.emplace_back([this, task = std::move(task)] {
    if (up()) task();
  });
}

void World::Submit(const std::set<size_t>& stores) {
  if (!up()) return;
  const int order = next_order_++;
  invariants_.Requested(order, stores);
  TransactionRequest request;
  for (const size_t store : stores) {
    request.statements.push_back(
        {stores_[store].name(), {.text = std::to_string(order), .params = {}}});
  }
  trace_.Add("submit", "", static_cast<uint64_t>(order), stores.size());
  Process* process = &life_->process;
  life_->coordinator->Execute(
      std::move(request), [this, process, order](const TransactionOutcome& outcome) {
        if (!process->Step("answer")) return;
        trace_.Add("answered", ToString(outcome.outcome), static_cast<uint64_t>(order));
        invariants_.Answered(order, outcome);
        process->Step("after the answer");
      });
  invariants_.CheckStep();
}

void World::List() {
  WhileUp([this] {
    auto list = life_->coordinator->List(events_.Now() + std::chrono::seconds(1));
    trace_.Add("listed", "", list ? list->transactions.size() : 99);
  });
}

void World::ForgetHeuristics() {
  WhileUp([this] {
    Coordinator& coordinator = *life_->coordinator;
    auto list = coordinator.List(events_.Now() + std::chrono::seconds(1));
    if (!list) return;
    for (const TransactionView& view : list->transactions) {
      if (view.outcome != Outcome::kHeuristic || !life_->process.alive()) continue;
      const Gid gid = *Gid::Parse(view.gid);
      // Refused while the commit is not applied everywhere.
      if (coordinator.Find(gid) != LoggedState::kCommitted) invariants_.ForgetAsked(gid);
      const Status forgot = coordinator.Forget(gid, {"the simulation", "", ""});
      trace_.Add("forget", "", gid.number, forgot.ok() ? 1 : 0);
    }
  });
}

void World::RecoverNow() {
  report_ = {};
  auto report = life_->coordinator->Recover(events_.Now() + std::chrono::seconds(10));
  if (report) report_ = std::move(*report);
  trace_.Add("recovered", "", static_cast<uint64_t>(report_.committed),
             static_cast<uint64_t>(report_.rolled_back),
             static_cast<uint64_t>(report_.in_doubt));
}

void World::Close() {
  WhileUp([this] {
    trace_.Add("close");
    life_->coordinator.reset();
    life_->process.Die(Death::kKilled, "ended");
  });
}

void World::Kill(Death death) {
  if (life_) life_->process.Die(death);
}

void World::ResolveByHand(size_t store, size_t n, bool commit) {
  const auto& prepared = stores_[store].prepared();
  if (prepared.empty()) return;
  const Gid gid =
      std::next(prepared.begin(), static_cast<std::ptrdiff_t>(n % prepared.size()))->first;
  trace_.Add("by hand", commit ? "commit" : "rollback", store, gid.number);
  stores_[store].ResolveByHand(gid, commit);
}

// --- Time ----------------------------------------------------------------------------------

/// One task or event; false when none is due by `limit`, or something is broken.
bool World::Advance(TimePoint limit) {
  if (!violation().empty()) return false;
  if (up() && !life_->coordinator->health().ok()) {
    // A process whose log has stopped ends; with an error, and in order.
    trace_.Add("log stopped");
    life_->coordinator.reset();
    life_->process.Die(Death::kKilled, "ended by its log");
  }
  if (life_ && !life_->process.alive()) Bury();
  if (!tasks_.empty()) {
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    invariants_.CheckStep();
    return true;
  }
  return events_.RunNext(limit);
}

void World::RunFor(Duration time) {
  const TimePoint end = events_.Now() + time;
  while (Advance(end)) {
  }
}

bool World::AtRest() const {
  for (const Store& store : stores_) {
    if (!store.prepared().empty()) return false;
  }
  return up();
}

std::vector<std::set<Gid>> World::Prepared() const {
  std::vector<std::set<Gid>> prepared(stores_.size());
  for (size_t i = 0; i < stores_.size(); ++i) {
    for (const auto& [gid, token] : stores_[i].prepared()) prepared[i].insert(gid);
  }
  return prepared;
}

RecoveryReport World::RecoverAtRest() {
  Recover();
  RunFor(std::chrono::milliseconds(500));
  return report_;
}

void World::Settle() {
  trace_.Add("healed");
  healed_ = true;
  network_.Heal();
  for (Store& store : stores_) store.Start();
  // Late messages arrive, attempts without an answer give up.
  RunFor(std::chrono::seconds(10));
  const bool told_all = !options_.orphans_possible && lives_ == 1;
  if (told_all && options_.recovery_interval == Duration{} && !AtRest()) {
    invariants_.Broken("left prepared, and its coordinator lives: told nothing");
  }
  // Once in any case: without a pass of its own a coordinator leaves to it what an earlier
  // life has committed everywhere and not ended.
  RecoverAtRest();
  for (int i = 0; i < 4 && !AtRest(); ++i) RecoverAtRest();
  RunFor(std::chrono::seconds(1));
  if (!violation().empty()) return;
  if (!up()) return invariants_.Broken("no coordinator although all is well");
  OnDurable();
  invariants_.CheckQuiet(Prepared(), events_.Now());
  const std::string before = invariants_.Fingerprint();
  CheckSecondRecovery(before, "a second recovery");
  Close();
  RunFor(std::chrono::milliseconds(500));
  CheckSecondRecovery(before, "recovery after a restart");
  // Rows of a last resource, and what stores keep beside them, go a second later.
  RunFor(std::chrono::seconds(2));
  CheckNothingKept();
  CheckNoAbortRows();
}

void World::CheckNothingKept() {
  if (!violation().empty()) return;
  std::set<std::string> heuristic;
  auto list = life_->coordinator->List(events_.Now() + std::chrono::seconds(1));
  if (!list) return invariants_.Broken("cannot list: " + list.error().ToString());
  for (const TransactionView& view : list->transactions) {
    if (view.outcome == Outcome::kHeuristic) heuristic.insert(view.gid);
  }
  for (const Store& store : stores_) {
    for (const Gid& gid : store.outcomes()) {
      if (heuristic.contains(gid.ToString())) continue;
      // The log has forgotten its end, and cannot tell it from one whose row is yet to come.
      if (!gid.home.empty() && life_->coordinator->Find(gid) == LoggedState::kUnknown) continue;
      invariants_.Broken(
          fmt::format("{} keeps the outcome of {} for ever", store.name(), gid.ToString()));
    }
  }
}

/// Recovery has raised the floor above all that an earlier incarnation had begun.
void World::CheckNoAbortRows() {
  for (const Store& store : stores_) {
    for (const Gid& gid : store.decisions().aborts()) {
      invariants_.Broken(
          fmt::format("an abort row is left at {}: {}", store.name(), gid.ToString()));
    }
  }
}

void World::CheckSecondRecovery(const std::string& before, const char* which) {
  const RecoveryReport report = RecoverAtRest();
  if (!violation().empty()) return;
  if (!up()) return invariants_.Broken(fmt::format("no coordinator after {}", which));
  if (report.committed + report.rolled_back + report.in_doubt > 0) {
    invariants_.Broken(fmt::format("{} finds {} to commit, {} to roll back, {} in doubt", which,
                                   report.committed, report.rolled_back, report.in_doubt));
  }
  if (invariants_.Fingerprint() != before) {
    invariants_.Broken(fmt::format("{} changes something", which));
  }
}

}  // namespace indoubt::simulation
