#include "experiments/load_generator.h"

#include <atomic>

#include "experiments/schedule.h"

namespace indoubt {
namespace {

// A closed loop that is refused at once would spin; a client waits a moment.
constexpr auto kAfterRefusal = std::chrono::milliseconds(10);

int64_t NanosOf(TimePoint time) { return time.time_since_epoch().count(); }

nlohmann::json OrNull(int64_t number) {
  return number != 0 ? nlohmann::json(number) : nlohmann::json(nullptr);
}
nlohmann::json OrNull(const std::string& text) {
  return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

/// Who voted what and acknowledged what; null for an executor without transactions.
nlohmann::json ToJson(const std::vector<ParticipantOutcome>& participants) {
  if (participants.empty()) return nullptr;
  nlohmann::json list = nlohmann::json::array();
  for (const ParticipantOutcome& one : participants) {
    list.push_back({{"name", one.name},
                    {"vote", one.vote ? ToString(*one.vote) : "none"},
                    {"ack", ToString(one.ack)}});
  }
  return list;
}

/// Refused before anything was sent to a store: no transaction came about.
bool NeverSent(const TransactionOutcome& outcome) {
  return outcome.outcome == Outcome::kRolledBack && outcome.code == StatusCode::kUnavailable &&
         outcome.gid.empty();
}

const char* Word(const TransactionOutcome& outcome) {
  switch (outcome.outcome) {
    case Outcome::kCommitted:
      return "committed";
    case Outcome::kRolledBack:
      return NeverSent(outcome) ? "failed" : "rolled_back";
    case Outcome::kInDoubt:
    case Outcome::kHeuristic:
      return "unknown";
  }
  return "unknown";
}

Told ToldOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCommitted:
      return Told::kCommitted;
    case Outcome::kRolledBack:
      return Told::kRolledBack;
    case Outcome::kInDoubt:
    case Outcome::kHeuristic:
      return Told::kUnknown;
  }
  return Told::kUnknown;
}

}  // namespace

struct LoadGenerator::Pending {
  Operation operation;
  bool warmup = false;
  TimePoint intended;
  std::optional<TimePoint> started;
};

struct LoadGenerator::Shared {
  NdjsonFile* ops = nullptr;       // used until `finished`
  RecentOrders* recent = nullptr;  // used until `finished`
  Committed committed;             // used until `finished`
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::map<uint64_t, Pending> pending;  // guarded by mutex
  std::vector<ToldOperation> told;      // guarded by mutex
  int64_t completed = 0;                // guarded by mutex
  int64_t commits = 0;                  // guarded by mutex; of the completed
  int64_t errors = 0;                   // guarded by mutex
  bool refused = false;                 // guarded by mutex; the last answer was a refusal
  bool stop = false;                    // guarded by mutex
  bool finished = false;                // guarded by mutex

  void Record(uint64_t i, const Pending& one, std::optional<TimePoint> ended,
              const char* outcome, const TransactionOutcome& answer = {}) {
    const Operation& operation = one.operation;
    ops->Write({{"i", i},
                {"op", ToString(operation.kind)},
                {"phase", one.warmup ? "warmup" : "measure"},
                {"intended_ns", NanosOf(one.intended)},
                {"started_ns",
                 one.started ? nlohmann::json(NanosOf(*one.started)) : nlohmann::json(nullptr)},
                {"ended_ns", ended ? nlohmann::json(NanosOf(*ended)) : nlohmann::json(nullptr)},
                {"outcome", outcome},
                {"order", OrNull(operation.order)},
                {"account", OrNull(operation.account)},
                {"item", operation.item},
                {"quantity", OrNull(operation.quantity)},
                {"amount", OrNull(operation.amount)},
                {"gid", OrNull(answer.gid)},
                {"reason", OrNull(answer.reason)},
                {"participants", ToJson(answer.participants)}});
  }
};

LoadGenerator::LoadGenerator(const Shop& shop, Path& path, const LoadPlan& plan,
                             NdjsonFile& ops, RecentOrders& recent, Committed committed)
    : shop_(shop), path_(path), plan_(plan), shared_(std::make_shared<Shared>()) {
  shared_->ops = &ops;
  shared_->recent = &recent;
  shared_->committed = std::move(committed);
}

LoadGenerator::~LoadGenerator() {
  StopIssuing();
  std::lock_guard lock(shared_->mutex);
  shared_->finished = true;
}

void LoadGenerator::Start(const LoadTimes& times) {
  times_ = times;
  thread_ = std::thread([this] {
    if (plan_.mode == LoadMode::kOpen) {
      IssueOpen();
    } else {
      IssueClosed();
    }
  });
}

/// False when told to stop before.
bool LoadGenerator::WaitUntil(TimePoint when) {
  std::unique_lock lock(shared_->mutex);
  return !shared_->changed.wait_until(lock, when, [this] { return shared_->stop; });
}

void LoadGenerator::IssueOpen() {
  PoissonSchedule schedule(plan_.rate_per_s, shop_.options().seed);
  for (uint64_t i = 0;; ++i) {
    const TimePoint intended = times_.warmup_from + schedule.Next();
    if (intended >= times_.measure_to || !WaitUntil(intended)) return;
    Issue(i, intended);
  }
}

void LoadGenerator::IssueClosed() {
  if (!WaitUntil(times_.warmup_from)) return;
  const auto clients = static_cast<size_t>(plan_.clients);
  for (uint64_t i = 0;; ++i) {
    bool refused = false;
    {
      std::unique_lock lock(shared_->mutex);
      const bool free = shared_->changed.wait_until(lock, times_.measure_to, [&] {
        return shared_->stop || shared_->pending.size() < clients;
      });
      if (shared_->stop || !free) return;
      std::swap(refused, shared_->refused);
    }
    if (refused && !WaitUntil(SystemClock().Now() + kAfterRefusal)) return;
    const TimePoint now = SystemClock().Now();
    if (now >= times_.measure_to) return;
    Issue(i, now);
  }
}

void LoadGenerator::Issue(uint64_t i, TimePoint intended) {
  Pending pending;
  pending.operation = shop_.At(i);
  pending.warmup = intended < times_.measure_from;
  pending.intended = intended;
  TransactionRequest request = shop_.Compile(pending.operation, path_.placement());
  const int64_t order = pending.operation.order;
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->pending.size() >= static_cast<size_t>(plan_.clients)) {
      ++shared_->errors;
      return shared_->Record(i, pending, std::nullopt, "dropped");
    }
    // In a closed loop nothing was intended before it could start.
    pending.started = plan_.mode == LoadMode::kOpen ? SystemClock().Now() : intended;
    shared_->pending.emplace(i, pending);
  }
  if (order != 0) shared_->recent->Add(order);
  path_.Submit(std::move(request), [shared = shared_, i](const TransactionOutcome& outcome) {
    Answered(shared, i, outcome);
  });
}

void LoadGenerator::Answered(const std::shared_ptr<Shared>& shared, uint64_t i,
                             const TransactionOutcome& outcome) {
  const TimePoint ended = SystemClock().Now();
  std::lock_guard lock(shared->mutex);
  const auto at = shared->pending.find(i);
  if (shared->finished || at == shared->pending.end()) return;  // censored before
  const Pending& pending = at->second;
  shared->Record(i, pending, ended, Word(outcome), outcome);
  shared->told.push_back({pending.operation, ToldOf(outcome.outcome)});
  const int64_t order = pending.operation.order;
  if (order != 0) {
    if (outcome.outcome == Outcome::kRolledBack) shared->recent->Remove(order);
    if (outcome.outcome == Outcome::kCommitted) shared->committed(order, ended);
  }
  ++shared->completed;
  ++(outcome.outcome == Outcome::kCommitted ? shared->commits : shared->errors);
  shared->refused = NeverSent(outcome);
  shared->pending.erase(at);
  shared->changed.notify_one();
}

void LoadGenerator::StopIssuing() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
  }
  shared_->changed.notify_all();
  if (thread_.joinable()) thread_.join();
}

LoadCounts LoadGenerator::counts() const {
  std::lock_guard lock(shared_->mutex);
  return {shared_->completed, shared_->errors, static_cast<int>(shared_->pending.size()),
          shared_->commits};
}

std::vector<ToldOperation> LoadGenerator::Finish() {
  StopIssuing();
  std::lock_guard lock(shared_->mutex);
  shared_->finished = true;
  TransactionOutcome none;
  none.reason = "no answer when the run ended";
  for (const auto& [i, pending] : shared_->pending) {
    shared_->Record(i, pending, std::nullopt, "censored", none);
    shared_->told.push_back({pending.operation, Told::kUnknown});
  }
  shared_->pending.clear();
  return shared_->told;
}

}  // namespace indoubt
