#include "participants/sqlite/writer.h"

#include <future>

#include <fmt/format.h>

namespace indoubt {
namespace {

constexpr size_t kMostQueued = 10'000;
constexpr size_t kMostInBatch = 256;
constexpr int kBusyPollMs = 20;
constexpr auto kIdlePoll = std::chrono::milliseconds(20);

Status Stopped() { return Status(StatusCode::kUnavailable, "the participant is being closed"); }

Status TooLate() {
  return Status(StatusCode::kDeadlineExceeded,
                "the deadline passed while another process held the database, or a row");
}

}  // namespace

SqliteWriter::SqliteWriter(SqliteOptions options)
    : options_(std::move(options)), thread_([this] { Loop(); }) {}

SqliteWriter::~SqliteWriter() { Stop(); }

void SqliteWriter::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SqliteWriter::ForgetLater(std::string branch) {
  const std::lock_guard lock(mutex_);
  if (forgotten_.size() < kMostQueued) forgotten_.push_back(std::move(branch));
}

void SqliteWriter::DropForgotten() {
  std::vector<std::string> forgotten;
  {
    const std::lock_guard lock(mutex_);
    forgotten.swap(forgotten_);
  }
  BranchStore store(*database_, tables_);
  for (const std::string& branch : forgotten) {
    if (!store.Forget(branch).ok()) return;  // an outcome too many harms nobody
  }
}

void SqliteWriter::Submit(WriterJob job) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && queue_.size() < kMostQueued) {
      queue_.push_back(std::move(job));
      wake_.notify_one();
      return;
    }
  }
  job.answer(Status(StatusCode::kUnavailable, "too many transactions wait for this database"),
             false);
}

Status SqliteWriter::Check(TimePoint deadline, std::vector<std::string>& problems) {
  // A job that needs nothing: that it runs means that the file is open and guarded.
  auto answered = std::make_shared<std::promise<Status>>();
  std::future<Status> future = answered->get_future();
  Submit({deadline, [](WriterContext&) { return WriterJob::Next::kUndo; },
          [answered](const Status& status, bool) { answered->set_value(status); }});
  const Status status = future.get();
  if (status.code() != StatusCode::kRefused) return status;
  problems.push_back(status.message());
  return Status::Ok();
}

Status SqliteWriter::EnsureOpen(std::vector<std::string>& problems) {
  if (database_ == nullptr) {
    INDOUBT_ASSIGN_OR_RETURN(database_, SqliteDatabase::Open(options_.path));
    sqlite3_busy_timeout(database_->get(), kBusyPollMs);
    INDOUBT_RETURN_IF_ERROR(database_->Run(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON"));
    // The guards are for others; this connection looks at the locks by itself.
    sqlite3_db_config(database_->get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
    schema_version_.clear();
  }
  INDOUBT_ASSIGN_OR_RETURN(const std::string version, database_->Ask("PRAGMA schema_version"));
  if (version == schema_version_) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(tables_, InspectTables(*database_, options_.tables, problems));
  if (!problems.empty()) return Status::Ok();
  INDOUBT_RETURN_IF_ERROR(InstallGuards(*database_, tables_));
  INDOUBT_ASSIGN_OR_RETURN(schema_version_, database_->Ask("PRAGMA schema_version"));
  return Status::Ok();
}

std::deque<WriterJob> SqliteWriter::TakeBatch() {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return stopping_ || !queue_.empty(); };
  if (waiting_.empty()) {
    wake_.wait(lock, ready);
  } else {
    wake_.wait_for(lock, kIdlePoll, ready);  // their deadlines pass
  }
  std::deque<WriterJob> batch;
  while (!queue_.empty() && batch.size() < kMostInBatch) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return batch;
}

void SqliteWriter::Loop() {
  for (;;) {
    std::deque<WriterJob> batch = TakeBatch();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_ && batch.empty()) break;
    }
    // Those that wait for a lock go first: they are older than what holds it.
    while (!waiting_.empty()) {
      batch.push_front(std::move(waiting_.back()));
      waiting_.pop_back();
    }
    RunBatch(std::move(batch));
  }
  for (WriterJob& job : waiting_) job.answer(Stopped(), false);
}

void SqliteWriter::Answer(std::vector<WriterJob>& jobs, const Status& status, bool unknown) {
  for (WriterJob& job : jobs) job.answer(status, unknown);
}

void SqliteWriter::RunBatch(std::deque<WriterJob> batch) {
  std::vector<WriterJob> all;
  std::vector<std::string> problems;
  Status status = EnsureOpen(problems);
  if (status.ok() && !problems.empty()) {
    std::string text = problems.front();
    for (size_t i = 1; i < problems.size(); ++i) text += "; " + problems[i];
    status = Status(StatusCode::kRefused, text);
  }
  if (status.ok()) status = database_->Run("BEGIN IMMEDIATE");
  if (status.code() == StatusCode::kLocked) {
    // Another process writes: what still has time waits for it.
    const TimePoint now = SystemClock().Now();
    for (WriterJob& job : batch) {
      if (job.deadline > now) {
        waiting_.push_back(std::move(job));
      } else {
        job.answer(TooLate(), false);
      }
    }
    return;
  }
  if (!status.ok()) {
    for (WriterJob& job : batch) all.push_back(std::move(job));
    Answer(all, status, false);
    if (status.code() != StatusCode::kRefused) database_.reset();
    return;
  }
  std::vector<std::pair<WriterJob, Status>> failed;
  bool changed = false;
  RunJobs(batch, all, failed, changed);
  if (changed) DropForgotten();
  if (waiting_.empty()) rolled_back_.clear();
  // Without a change there is nothing to sync.
  status = database_->Run(changed ? "COMMIT" : "ROLLBACK");
  if (!status.ok()) {
    // The commit frame may be in the file although its sync failed.
    const bool unknown = status.code() != StatusCode::kLocked;
    if (sqlite3_get_autocommit(database_->get()) == 0) {
      const Status undone = database_->Run("ROLLBACK");
      if (!undone.ok()) status = status.WithContext(undone.message());
    }
    database_.reset();
    Answer(all, status, unknown);
  } else {
    Answer(all, Status::Ok(), false);
  }
  for (auto& [job, why] : failed) job.answer(why, false);
}

void SqliteWriter::RunJobs(std::deque<WriterJob>& batch, std::vector<WriterJob>& done,
                           std::vector<std::pair<WriterJob, Status>>& failed, bool& changed) {
  WriterContext context{*database_, tables_, BranchStore(*database_, tables_), rolled_back_};
  for (WriterJob& job : batch) {
    const auto savepoint = [this](const char* sql) {
      const bool ok = database_->Cached(sql).Step() == SQLITE_DONE;
      return ok ? Status::Ok() : database_->Error(sql);
    };
    Status status = savepoint("SAVEPOINT branch");
    WriterJob::Next next = WriterJob::Next::kUndo;
    if (status.ok()) next = job.run(context);
    if (status.ok() && next != WriterJob::Next::kDone) status = savepoint("ROLLBACK TO branch");
    if (status.ok()) status = savepoint("RELEASE branch");
    if (!status.ok()) {
      failed.emplace_back(std::move(job), status);
    } else if (next == WriterJob::Next::kWait) {
      waiting_.push_back(std::move(job));
    } else {
      changed = changed || next == WriterJob::Next::kDone;
      done.push_back(std::move(job));
    }
  }
}

}  // namespace indoubt
