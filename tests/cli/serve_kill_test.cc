// A client of `serve` outlives servers that are killed under its calls, as often as
// it happens: every call ends, the process that made it goes on, and what it was told
// is true.
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "coordinator/service.h"
#include "faults/process.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

constexpr int kRounds = 40;
constexpr int kCalls = 24;
constexpr auto kLimit = std::chrono::seconds(60);

class ServeKill : public ::testing::Test {
 protected:
  void SetUp() override {
    sqlite3* ledger = nullptr;
    ASSERT_EQ(sqlite3_open((folder_.path() + "/ledger.db").c_str(), &ledger), SQLITE_OK);
    const int made = sqlite3_exec(ledger, "CREATE TABLE entries (id INTEGER PRIMARY KEY)",
                                  nullptr, nullptr, nullptr);
    sqlite3_close(ledger);
    ASSERT_EQ(made, SQLITE_OK);
    std::ofstream(config_path())
        << "[coordinator]\nnode = \"kill\"\nlisten = \"unix:" << socket()
        << "\"\n[log]\npath = \"decisions\"\n[participants.ledger]\nkind = \"sqlite\"\n"
           "path = \"ledger.db\"\ntables = [\"entries\"]\n";
  }

  std::string config_path() const { return folder_.path() + "/indoubt.toml"; }
  std::string socket() const { return folder_.path() + "/serve.sock"; }

  /// A server that kills itself when its 18th transaction has begun.
  void StartServer() {
    std::filesystem::remove(socket());
    server_ = StartServing(config_path(), folder_.path() + "/serve.log",
                           {{"INDOUBT_FAILPOINT", "begun:18=kill"}});
    ASSERT_TRUE(server_->Running()) << "the server ended";
  }

  /// One call alone, then more at once than the server survives, on a client of their
  /// own.
  void Call(int round) {
    const auto client = ConnectExecutor("unix:" + socket());
    std::mutex mutex;
    std::condition_variable changed;
    int answered = 0;
    for (int i = 0; i < kCalls; ++i) {
      TransactionRequest request;
      const int64_t id = 1 + round * kCalls + i;
      request.statements.push_back(
          {"ledger", {fmt::format("INSERT INTO entries VALUES ({})", id), {}, {}}});
      client->Execute(std::move(request), [&, id](const TransactionOutcome& outcome) {
        const std::lock_guard lock(mutex);
        if (outcome.outcome == Outcome::kCommitted) committed_.insert(id);
        if (outcome.outcome == Outcome::kRolledBack) rolled_back_.insert(id);
        ++answered;
        changed.notify_all();
      });
      if (i > 0) continue;
      std::unique_lock lock(mutex);
      ASSERT_TRUE(changed.wait_for(lock, kLimit, [&] { return answered == 1; }));
    }
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kLimit, [&] { return answered == kCalls; }));
  }

  void Recover() {
    const auto recovered =
        RunProgram({.argv = {std::getenv("INDOUBT_BINARY"), "recover", "-c", config_path()}},
                   SystemClock().Now() + kLimit);
    ASSERT_TRUE(recovered) << recovered.error().ToString();
  }

  std::set<int64_t> Entries() {
    std::set<int64_t> ids;
    sqlite3* ledger = nullptr;
    EXPECT_EQ(sqlite3_open((folder_.path() + "/ledger.db").c_str(), &ledger), SQLITE_OK);
    const auto keep = [](void* out, int, char** values, char**) {
      static_cast<std::set<int64_t>*>(out)->insert(std::stoll(values[0]));
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(ledger, "SELECT id FROM entries", keep, &ids, nullptr), SQLITE_OK);
    sqlite3_close(ledger);
    return ids;
  }

  const ScratchFolder folder_{"indoubt-serve-kill"};
  std::unique_ptr<Process> server_;
  std::set<int64_t> committed_, rolled_back_;  // as the clients were told
};

TEST_F(ServeKill, AClientOutlivesServersThatAreKilledUnderItsCalls) {
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    StartServer();
    if (HasFatalFailure()) return;
    Call(round);
    if (HasFatalFailure()) return;
    const auto end = server_->Wait(SystemClock().Now() + kLimit);
    ASSERT_TRUE(end && end->by_signal && end->code == SIGKILL) << "it did not die by itself";
  }
  Recover();
  const std::set<int64_t> entries = Entries();
  EXPECT_FALSE(committed_.empty());
  for (const int64_t id : committed_) EXPECT_EQ(entries.count(id), 1u) << id;
  for (const int64_t id : rolled_back_) EXPECT_EQ(entries.count(id), 0u) << id;
}

}  // namespace
}  // namespace indoubt::testing
