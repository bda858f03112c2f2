// The one thread that writes to a database file. What waits is gathered into one
// SQLite transaction, each piece in a savepoint of its own, and so shares one sync.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "participants/sqlite/branch_store.h"
#include "participants/sqlite/sqlite_participant.h"

namespace indoubt {

/// What a job finds when it runs.
struct WriterContext {
  SqliteDatabase& database;
  const std::map<std::string, ManagedTable>& tables;
  BranchStore store;
  /// Branches that were rolled back while something waits for a lock: a prepare of
  /// one of them must not take effect any more.
  std::set<std::string>& rolled_back;
};

/// A piece of work. Its functions run on the writer's thread.
struct WriterJob {
  enum class Next {
    kDone,  // answer after the batch is durable
    kUndo,  // roll back to before this job, then answer
    kWait,  // a lock is held by a younger branch: undo, and try again after a change
  };
  TimePoint deadline;
  std::function<Next(WriterContext&)> run;
  /// Once: Ok when what run() did is durable; an error when the database gave
  /// trouble (`unknown`: it may be durable all the same).
  std::function<void(const Status& status, bool unknown)> answer;
};

/// Thread-safe. What is left at the end is answered first, with kUnavailable.
class SqliteWriter {
 public:
  explicit SqliteWriter(SqliteOptions options);
  ~SqliteWriter();

  /// Bounded: answers kUnavailable at once when too much waits.
  void Submit(WriterJob job);
  /// Drops the branch's outcome together with a later change; best effort.
  void ForgetLater(std::string branch);
  /// Answers all that waits, and ends. Idempotent.
  void Stop();
  /// Opens the file and installs the guards if need be, on the caller's behalf.
  /// kUnavailable; problems go to `problems`.
  Status Check(TimePoint deadline, std::vector<std::string>& problems);

 private:
  void Loop();
  Status EnsureOpen(std::vector<std::string>& problems);
  void RunBatch(std::deque<WriterJob> batch);
  void RunJobs(std::deque<WriterJob>& batch, std::vector<WriterJob>& done,
               std::vector<std::pair<WriterJob, Status>>& failed, bool& changed);
  void Answer(std::vector<WriterJob>& jobs, const Status& status, bool unknown);
  void DropForgotten();
  std::deque<WriterJob> TakeBatch();

  const SqliteOptions options_;
  std::mutex mutex_;  // guards the next five
  std::condition_variable wake_;
  std::deque<WriterJob> queue_;
  std::vector<std::string> forgotten_;
  bool stopping_ = false;

  // The writer thread's own.
  std::unique_ptr<SqliteDatabase> database_;
  std::map<std::string, ManagedTable> tables_;
  std::string schema_version_;
  std::deque<WriterJob> waiting_;  // for a lock
  std::set<std::string> rolled_back_;

  std::thread thread_;
};

}  // namespace indoubt
