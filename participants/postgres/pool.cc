#include "participants/postgres/pool.h"

#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace indoubt::pg {
namespace {

Status ShutDown() { return Status(StatusCode::kUnavailable, "the participant is shut down"); }

}  // namespace

Lease::~Lease() {
  if (std::this_thread::get_id() == pool_.thread_.get_id()) pool_.GiveBack(*this);
}

void Lease::Run(std::vector<Command> commands, TimePoint limit, ScriptCallback done) {
  pool_.RunScript(slot_, std::move(commands), limit, std::move(done));
}

void Lease::RunCleaned(Command command, TimePoint limit, ScriptCallback done) {
  std::vector<Command> commands = CleaningCommands(pool_.slots_.at(slot_).cleaning);
  commands.back().sync_after = true;
  commands.push_back(std::move(command));
  Run(std::move(commands), limit, [this, done = std::move(done)](ScriptReply reply) {
    ScriptReply own{.lost = reply.lost, .lost_reason = reply.lost_reason};
    if (!reply.replies.empty()) {
      own.replies.push_back(std::move(reply.replies.back()));
      reply.replies.pop_back();
    }
    if (!WhyNotClean(reply).empty()) Taint();
    done(std::move(own));
  });
}

void Lease::CleanAfterNext() { pool_.slots_.at(slot_).clean_after = true; }

bool Lease::InTransaction() const { return pool_.slots_.at(slot_).connection->InTransaction(); }
int Lease::backend_pid() const { return pool_.slots_.at(slot_).connection->backend_pid(); }
void Lease::Taint() { pool_.slots_.at(slot_).tainted = true; }
TimePoint Lease::established() const { return pool_.slots_.at(slot_).established; }

Pool::Pool(ConnectionString where, int max_connections, bool prepares)
    : where_(std::move(where)),
      max_connections_(static_cast<size_t>(max_connections)),
      max_work_(max_connections_ - std::max<size_t>(1, max_connections_ / 5)),
      prepares_(prepares),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  INDOUBT_CHECK(wake_fd_ >= 0, "eventfd: out of file descriptors");
  thread_ = std::thread([this] { Loop(); });
}

Pool::~Pool() {
  Stop();
  close(wake_fd_);
}

void Pool::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  Wake();
  INDOUBT_CHECK(std::this_thread::get_id() != thread_.get_id(),
                "a callback must not destroy the participant");
  if (thread_.joinable()) thread_.join();
}

void Pool::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full: then the thread is awake anyway.
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

bool Pool::Post(std::function<void()> task) {
  bool was_asleep = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    tasks_.push_back(std::move(task));
    was_asleep = std::exchange(asleep_, false);
  }
  if (was_asleep) Wake();
  return true;
}

TimerKey Pool::At(TimePoint when, std::function<void()> task) {
  const TimerKey key{when, next_id_++};
  timers_.emplace(key, std::move(task));
  return key;
}

void Pool::Loop() {
  for (;;) {
    do {
      RunTasks();
      RunTimers();
      Dispatch();
    } while (DeliverReplies() || CleanReturned());
    {
      const std::lock_guard lock(mutex_);
      if (stop_) break;
    }
    Poll();
  }
  EndEverything();
}

void Pool::RunTasks() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (auto& task : tasks) {
    task();
    task = nullptr;  // what it held may give a connection back
  }
}

void Pool::RunTimers() {
  const TimePoint now = SystemClock().Now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const auto task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
}

void Pool::Poll() {
  std::vector<pollfd> polled{{wake_fd_, POLLIN, 0}};
  std::vector<uint64_t> ids{0};
  for (const auto& [id, slot] : slots_) {
    if (slot.connection->fd() < 0) continue;
    polled.push_back({slot.connection->fd(), slot.connection->poll_events(), 0});
    ids.push_back(id);
  }
  const TimePoint now = SystemClock().Now();
  Duration wait = std::chrono::hours(1);
  if (!timers_.empty()) wait = timers_.begin()->first.first - now;
  const bool waiting = !phase_two_.empty() || !work_.empty();
  if (waiting && next_connect_ > now) wait = std::min(wait, next_connect_ - now);
  {
    const std::lock_guard lock(mutex_);
    if (!tasks_.empty() || stop_) wait = Duration{};
    wait = std::max(wait, Duration{});
    asleep_ = wait > Duration{};
  }
  const timespec timeout{std::chrono::duration_cast<std::chrono::seconds>(wait).count(),
                         (wait % std::chrono::seconds(1)).count()};
  const int ready = ppoll(polled.data(), polled.size(), &timeout, nullptr);
  {
    const std::lock_guard lock(mutex_);
    asleep_ = false;
  }
  if (ready <= 0) return;
  if (polled[0].revents != 0) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof count);
  }
  for (size_t i = 1; i < polled.size(); ++i) {
    if (polled[i].revents == 0) continue;
    Slot& slot = slots_.at(ids[i]);
    const bool connecting = slot.connection->state() == Connection::State::kConnecting;
    slot.connection->Advance();
    if (connecting && slot.connection->state() == Connection::State::kIdle) {
      LookAtSession(ids[i]);
    }
  }
}

bool Pool::DeliverReplies() {
  bool any = false;
  std::vector<uint64_t> ids;
  for (const auto& [id, slot] : slots_) ids.push_back(id);
  for (const uint64_t id : ids) {
    const auto found = slots_.find(id);
    if (found == slots_.end()) continue;
    Slot& slot = found->second;
    if (auto reply = slot.connection->TakeReply()) {
      any = true;
      if (slot.limit) Cancel(*slot.limit);
      slot.limit.reset();
      if (slot.connection->epilogue_due()) LimitBy(id, SystemClock().Now() + kCleaningLimit);
      const ScriptCallback done = std::move(slot.done);
      slot.done = nullptr;
      done(std::move(*reply));
    } else if (const auto epilogue = slot.connection->TakeEpilogue()) {
      any = true;
      if (slot.limit) Cancel(*slot.limit);
      slot.limit.reset();
      OnEpilogue(id, *epilogue);
    } else if (slot.connection->state() == Connection::State::kBroken && !slot.leased) {
      any = true;
      const std::string reason = slot.connection->broken_reason();
      const bool was_ready = slot.ready;
      Retire(id);
      if (!was_ready) ConnectFailed(reason);
    }
  }
  return any;
}

void Pool::RunScript(uint64_t id, std::vector<Command> commands, TimePoint limit,
                     ScriptCallback done) {
  Slot& slot = slots_.at(id);
  if (slot.connection->epilogue_due()) {
    slot.queued = [this, id, commands = std::move(commands), limit,
                   done = std::move(done)]() mutable {
      RunScript(id, std::move(commands), limit, std::move(done));
    };
    return;
  }
  const bool clean_after = std::exchange(slot.clean_after, false) && !slot.tainted;
  slot.clean = false;
  if (slot.connection->state() != Connection::State::kIdle) {
    return done(ScriptReply{.lost = true, .lost_reason = slot.connection->broken_reason()});
  }
  for (const Command& command : commands) {
    if (command.text == "COMMIT") slot.cleaning.committed = true;
  }
  slot.done = std::move(done);
  LimitBy(id, limit);
  slot.connection->Run(commands,
                       clean_after ? CleaningCommands(slot.cleaning) : std::vector<Command>());
}

void Pool::LimitBy(uint64_t id, TimePoint limit) {
  slots_.at(id).limit = At(limit, [this, id] {
    Slot& late = slots_.at(id);
    late.limit.reset();
    late.connection->Break("no answer within the time allowed");
  });
}

void Pool::EndEverything() {
  stopping_ = true;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  do {
    RunTasks();
    FailAll(phase_two_, ShutDown());
    FailAll(work_, ShutDown());
    for (auto& [id, slot] : slots_) slot.connection->Break("the participant is shut down");
    // What waits for something else (a deferred rollback) has a timer: it fires now.
    while (!timers_.empty()) {
      const auto task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      task();
    }
  } while (DeliverReplies());
}

}  // namespace indoubt::pg
