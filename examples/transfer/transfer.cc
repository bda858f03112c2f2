// Moves 5 from an account (PostgreSQL) to a wallet (Redis) and notes it in a ledger
// (SQLite): in all three or in none. What a crash left behind is settled at the next start.
//
//   transfer POSTGRES-DSN REDIS-URI LEDGER.db LOG-FOLDER NUMBER
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>

#include <indoubt/base/failpoint.h>
#include <indoubt/coordinator/coordinator.h>
#include <indoubt/participants/postgres/postgres_participant.h>
#include <indoubt/participants/redis/redis_participant.h>
#include <indoubt/participants/sqlite/sqlite_participant.h>
#include <indoubt/recovery/file_log.h>

namespace {

/// The value, or the end of this program with the reason.
template <typename T>
T Must(indoubt::Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "transfer: %s\n", result.error().ToString().c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 || !indoubt::ConfigureFailPointsFromEnvironment().ok()) return 2;
  std::vector<std::unique_ptr<indoubt::Participant>> stores;
  stores.push_back(Must(indoubt::MakePostgresParticipant({.name = "bank", .dsn = argv[1]})));
  stores.push_back(Must(indoubt::MakeRedisParticipant({.name = "wallet", .uri = argv[2]})));
  stores.push_back(Must(indoubt::MakeSqliteParticipant(
      {.name = "ledger", .path = argv[3], .tables = {"entries"}})));
  auto log =
      Must(indoubt::OpenFileLog(indoubt::PosixFileSystem(), argv[4], {.node = "transfer-1"}));
  auto coordinator = Must(
      indoubt::Coordinator::Start({.node = "transfer-1"}, std::move(log), std::move(stores)));

  // It settles the past by itself, beside new work; here nothing new begins before.
  const auto past =
      Must(coordinator->Recover(indoubt::SystemClock().Now() + std::chrono::seconds(30)));
  std::printf("in doubt from before: %d\n", past.in_doubt);

  const indoubt::Value number{int64_t{std::atoll(argv[5])}};
  indoubt::TransactionRequest request;
  request.statements = {
      {"bank", {"UPDATE account SET balance = balance - 5 WHERE id = 7", {}, 1}},
      {"wallet", {"INCRBY wallet:7 5", {}, {}}},
      {"ledger", {"INSERT INTO entries VALUES (?1, 7, 5)", {number}, 1}}};
  std::promise<indoubt::TransactionOutcome> ended;
  coordinator->Execute(std::move(request), [&](auto outcome) { ended.set_value(outcome); });
  const auto outcome = ended.get_future().get();
  std::printf("%s %s %s\n", ToString(outcome.outcome), outcome.gid.c_str(),
              outcome.reason.c_str());
  return outcome.outcome == indoubt::Outcome::kCommitted ? 0 : 1;
}
