#include "experiments/repetition.h"

#include <filesystem>
#include <future>
#include <thread>

#include <fmt/format.h>

#include "experiments/decision_record.h"
#include "experiments/event_record.h"
#include "experiments/fault_director.h"
#include "experiments/faults/fault.h"
#include "experiments/final_state.h"
#include "experiments/hand_faults.h"
#include "experiments/lab_stores.h"
#include "experiments/load_generator.h"
#include "experiments/ndjson.h"
#include "experiments/observer/observer.h"
#include "experiments/paths/path.h"
#include "experiments/summary/figures.h"
#include "experiments/workloads/shop_names.h"
#include "experiments/workloads/shop_world.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr auto kStep = std::chrono::milliseconds(5);
constexpr auto kNoteEvery = std::chrono::milliseconds(200);
constexpr auto kLeadTime = std::chrono::milliseconds(200);
constexpr auto kDrainPoll = std::chrono::milliseconds(20);

int64_t NanosOf(TimePoint time) { return time.time_since_epoch().count(); }

std::string Both(const std::string& one, const std::string& other) {
  return one + (one.empty() || other.empty() ? "" : ", ") + other;
}

double SecondsBetween(TimePoint from, TimePoint to) {
  return std::chrono::duration<double>(to - from).count();
}

class Repetition {
 public:
  Repetition(const Scenario& scenario, const RunOptions& options, const RepetitionPlan& plan,
             const std::function<void(RunProgress)>& note, RepetitionOutcome& outcome)
      : scenario_(scenario),
        options_(options),
        plan_(plan),
        note_(note),
        outcome_(outcome),
        load_(scenario.load) {
    load_.clients = plan.cell.clients;
    ShopOptions shop = scenario.workload;
    shop.seed = plan.seed;
    shop_.emplace(shop);
  }

  Status Run(const std::function<void(const StoreEndpoints&)>& stores_up) {
    INDOUBT_ASSIGN_OR_RETURN(events_, EventRecord::Create(plan_.folder + "/events.ndjson"));
    const Status ran = RunOnStores(stores_up);
    const Status closed = events_->Close();
    return ran.ok() ? closed : ran;
  }

 private:
  Status RunOnStores(const std::function<void(const StoreEndpoints&)>& stores_up) {
    Enter("stores");
    LabStoresOptions stores{options_.postgres_dsn,
                            options_.redis_uri,
                            options_.keep,
                            {},
                            plan_.seed,
                            plan_.folder,
                            {}};
    if (const FaultPlan* fault = Planned()) {
      stores.proxied = ProxiedStore(*fault);
      stores.faulty_disk = FaultyDiskOwner(*fault);
    }
    INDOUBT_ASSIGN_OR_RETURN(stores_, LabStores::Start(stores));
    INDOUBT_RETURN_IF_ERROR(shop_->SetUp(stores_->direct()));
    stores_up(stores_->direct());
    INDOUBT_RETURN_IF_ERROR(StartPath());
    Status ran = LoadAndRecord();
    path_->Stop();
    return ran;
  }

  Status StartPath() {
    INDOUBT_ASSIGN_OR_RETURN(path_, MakePath(plan_.cell.path));
    PathContext context;
    context.stores = stores_->of_path();
    context.scratch = stores_->folder() + "/path";
    context.log_folder = plan_.folder;
    context.binary = options_.binary;
    context.clients = load_.clients;
    context.last_resource = plan_.cell.last_resource;
    context.environment = stores_->path_environment();
    std::error_code error;
    std::filesystem::create_directory(context.scratch, error);
    if (error) return Status(StatusCode::kIoError, "cannot make " + context.scratch);
    if (const FaultPlan* planned = Planned()) {
      INDOUBT_ASSIGN_OR_RETURN(ApplicableFault made, MakeFault(*planned, *path_, *stores_));
      fault_ = std::move(made.fault);
      not_applicable_ = std::move(made.not_applicable);
      if (!fault_) {
        outcome_.warnings.push_back(
            fmt::format("{}: n/a: the fault {} does not apply to this path: {}; it ran "
                        "undisturbed",
                        plan_.cell.name, planned->kind, not_applicable_));
      } else if (planned->kind == "kill") {
        context.strike_point = fault_->point();
      }
    }
    return path_->Start(context);
  }

  /// Null: nothing is to break.
  const FaultPlan* Planned() const {
    return scenario_.faults.empty() ? nullptr : &scenario_.faults.front();
  }

  Status LoadAndRecord() {
    INDOUBT_ASSIGN_OR_RETURN(const auto ops, NdjsonFile::Create(plan_.folder + "/ops.ndjson"));
    RecentOrders recent;
    std::unique_ptr<Observer> observer;
    LoadGenerator load(
        *shop_, *path_, load_, *ops, recent,
        [&observer](int64_t order, TimePoint at) { observer->Committed(order, at); });
    const DerivedWatch derived{path_->views(), scenario_.workload.token_reads,
                               fault_ != nullptr && Planned()->kind == "in-doubt"};
    INDOUBT_ASSIGN_OR_RETURN(
        observer, Observer::Start(
                      stores_->direct(), *shop_, HasTwoPhaseCommit(path_->name()), derived,
                      recent, [&load] { return load.counts(); }, plan_.folder));
    LoadTimes times;
    times.warmup_from = SystemClock().Now() + kLeadTime;
    times.measure_from = times.warmup_from + load_.warmup;
    times.measure_to = times.measure_from + load_.duration;
    FaultDirector director(fault_.get(), Planned() == nullptr ? FaultPlan{} : *Planned(),
                           times.measure_from);
    HandFaults by_hand(*path_, options_.by_hand, plan_.cell.name, plan_.n);
    events_->Phase("warmup", times.warmup_from);
    load.Start(times);
    Status status = Watch(load, *observer, times, director, by_hand);
    outcome_.disturbed = by_hand.acted();
    load.StopIssuing();
    if (SystemClock().Now() < times.measure_to) times.measure_to = SystemClock().Now();
    events_->Phase("drain", times.measure_to);
    const std::string broken = Both(director.Active(), by_hand.Active());
    if (status.ok()) status = by_hand.HealNow();
    if (status.ok()) status = director.HealNow();
    events_->Faults(FaultRecords(director, by_hand));
    if (status.ok() && !broken.empty()) NoteMended(load, *observer, times, broken);
    if (status.ok()) status = Drain(load, *observer, times);
    // The load first: every order that counts as committed is in the observer's hands.
    const std::vector<ToldOperation> told = load.Finish();
    INDOUBT_RETURN_IF_ERROR(observer->Close());
    const TimePoint drained = SystemClock().Now();
    INDOUBT_RETURN_IF_ERROR(ops->Close());
    AddWarnings(director.warnings());
    AddWarnings(observer->Troubles());
    INDOUBT_RETURN_IF_ERROR(status);
    return WriteRecord(times, drained, FaultRecords(director, by_hand), told);
  }

  static json FaultRecords(const FaultDirector& director, const HandFaults& by_hand) {
    json faults = director.Records();
    for (json& fault : by_hand.Records()) faults.push_back(std::move(fault));
    return faults;
  }

  /// Until the load is over or somebody stops it.
  Status Watch(const LoadGenerator& load, const Observer& observer, const LoadTimes& times,
               FaultDirector& director, HandFaults& by_hand) {
    TimePoint next_note;
    for (;;) {
      const TimePoint now = SystemClock().Now();
      if (now >= times.measure_to) return Status::Ok();
      if (options_.stop != nullptr && options_.stop->load()) {
        outcome_.interrupted = true;
        return Status::Ok();
      }
      if (now >= times.measure_from) events_->Phase("measure", times.measure_from);
      INDOUBT_ASSIGN_OR_RETURN(const std::string event, BreakAndMend(director, by_hand));
      if (!event.empty()) events_->Faults(FaultRecords(director, by_hand));
      if (!event.empty() || now >= next_note) {
        const bool warmup = now < times.measure_from;
        RunProgress progress = Progress(warmup ? "warmup" : "measure", &load);
        progress.since_s = SecondsBetween(times.measure_from, now);
        progress.left_s = SecondsBetween(now, warmup ? times.measure_from : times.measure_to);
        progress.event = event;
        progress.fault = Both(director.Active(), by_hand.Active());
        progress.by_hand = by_hand.offer();
        progress.observed = observer.Now();
        note_(std::move(progress));
        next_note = now + kNoteEvery;
      }
      std::this_thread::sleep_for(kStep);
    }
  }

  /// What is due of what is planned and of what a person asks for. Returns what happened.
  static Result<std::string> BreakAndMend(FaultDirector& director, HandFaults& by_hand) {
    INDOUBT_ASSIGN_OR_RETURN(std::string event, by_hand.Step(director));
    if (!event.empty() || by_hand.Holds(director)) return event;
    return director.Step();
  }

  /// Waits until nothing moves any more; what does not come to rest in time is a
  /// warning, and shows in the comparison.
  Status Drain(const LoadGenerator& load, Observer& observer, const LoadTimes& times) {
    const TimePoint deadline = SystemClock().Now() + load_.drain;
    TimePoint next_note;
    const auto tell = [&] {
      if (SystemClock().Now() < next_note) return;
      const TimePoint now = SystemClock().Now();
      next_note = now + kNoteEvery;
      RunProgress progress = Progress("drain", &load);
      progress.since_s = SecondsBetween(times.measure_from, now);
      progress.left_s = SecondsBetween(now, deadline);
      progress.observed = observer.Now();
      note_(std::move(progress));
    };
    while (load.counts().in_flight > 0 && SystemClock().Now() < deadline) {
      tell();
      std::this_thread::sleep_for(kDrainPoll);
    }
    tell();
    // It waits in many ways, all of them silent; who watches wants to see what goes on.
    auto path_drained = std::async(std::launch::async, [&] { return path_->Drain(deadline); });
    while (path_drained.wait_for(kDrainPoll) != std::future_status::ready) tell();
    Status drained = path_drained.get();
    if (drained.code() == StatusCode::kInternal) return drained;
    if (!drained.ok()) outcome_.warnings.push_back(path_->name() + ": " + drained.message());
    while (observer.lag().pending() > 0 && SystemClock().Now() < deadline) {
      tell();
      std::this_thread::sleep_for(kDrainPoll);
    }
    return Status::Ok();
  }

  Status WriteRecord(const LoadTimes& times, TimePoint drained, json faults,
                     const std::vector<ToldOperation>& told) {
    Enter("compare");
    // Before another recovery cleans away what has ended.
    if (!path_->decision_log().empty()) {
      const Status kept =
          RecordDecisions(path_->decision_log(), plan_.folder + "/decisions.ndjson");
      if (!kept.ok()) outcome_.warnings.push_back("decisions.ndjson: " + kept.message());
    }
    const auto idempotent = path_->RecoverAgain();
    if (!idempotent) {
      outcome_.warnings.push_back(path_->name() + ": " + idempotent.error().message());
    }
    INDOUBT_ASSIGN_OR_RETURN(const ShopWorld world, ReadWorld(stores_->direct()));
    INDOUBT_RETURN_IF_ERROR(
        RecordWorld(shop_->options(), world, plan_.folder + "/state.ndjson"));
    json final = ToJson(CompareWorld(shop_->options(), world, told));
    INDOUBT_ASSIGN_OR_RETURN(final["leftovers"], CountLeftovers(stores_->direct()));
    INDOUBT_ASSIGN_OR_RETURN(final["unwritable"], FindUnwritable(stores_->direct()));
    final["recovery_idempotent"] =
        idempotent && *idempotent ? json(**idempotent) : json(nullptr);
    const bool open = load_.mode == LoadMode::kOpen;
    return ReplaceJson(
        plan_.folder + "/rep.json",
        {{"path", plan_.cell.path},
         {"cell", plan_.cell.name},
         {"n", plan_.n},
         {"seed", plan_.seed},
         {"load",
          {{"mode", ToString(load_.mode)},
           {"rate_per_s", open ? json(load_.rate_per_s) : json(nullptr)},
           {"clients", load_.clients}}},
         {"shop",
          {{"accounts", shop_->options().accounts},
           {"items", shop_->options().items},
           {"initial_balance", shop_->options().initial_balance},
           {"initial_stock", shop_->options().initial_stock},
           {"initial_price", kInitialPrice}}},
         {"warmup_from_ns", NanosOf(times.warmup_from)},
         {"measure_from_ns", NanosOf(times.measure_from)},
         {"measure_to_ns", NanosOf(times.measure_to)},
         {"drained_ns", NanosOf(drained)},
         {"faults", std::move(faults)},
         {"not_applicable", not_applicable_.empty() ? json(nullptr) : json(not_applicable_)},
         {"final", final}});
  }

  /// What was still broken when the load ended is whole again.
  void NoteMended(const LoadGenerator& load, const Observer& observer, const LoadTimes& times,
                  const std::string& broken) {
    RunProgress progress = Progress("drain", &load);
    progress.since_s = SecondsBetween(times.measure_from, SystemClock().Now());
    progress.observed = observer.Now();
    progress.event = broken + ": mended, as the load has ended";
    note_(std::move(progress));
  }

  void AddWarnings(const std::vector<std::string>& warnings) {
    for (const std::string& warning : warnings) {
      outcome_.warnings.push_back(
          fmt::format("{} rep {}: {}", plan_.cell.name, plan_.n, warning));
    }
  }

  void Enter(const std::string& phase) {
    events_->Phase(phase, SystemClock().Now());
    note_(Progress(phase, nullptr));
  }

  RunProgress Progress(const std::string& phase, const LoadGenerator* load) const {
    RunProgress progress;
    progress.cell = plan_.cell.name;
    progress.path = plan_.cell.path;
    progress.rep = plan_.n;
    progress.phase = phase;
    if (load != nullptr) {
      const LoadCounts counts = load->counts();
      progress.committed = counts.committed;
      progress.errors = counts.errors;
      progress.in_flight = counts.in_flight;
    }
    return progress;
  }

  const Scenario& scenario_;
  const RunOptions& options_;
  const RepetitionPlan& plan_;
  const std::function<void(RunProgress)>& note_;
  RepetitionOutcome& outcome_;
  LoadPlan load_;
  std::unique_ptr<EventRecord> events_;
  std::optional<Shop> shop_;
  std::unique_ptr<LabStores> stores_;
  std::unique_ptr<Path> path_;
  std::unique_ptr<Fault> fault_;  // of path_ or stores_
  std::string not_applicable_;    // why there is none although one was planned
};

}  // namespace

RepetitionOutcome RunRepetition(const Scenario& scenario, const RunOptions& options,
                                const RepetitionPlan& plan,
                                const std::function<void(const StoreEndpoints&)>& stores_up,
                                const std::function<void(RunProgress)>& note) {
  RepetitionOutcome outcome;
  Repetition repetition(scenario, options, plan, note, outcome);
  outcome.status = repetition.Run(stores_up);
  return outcome;
}

}  // namespace indoubt
