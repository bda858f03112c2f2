// A participant that takes connections and never answers: recovery settles what the others
// hold, says so, and ends in its time.
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// The system takes connections to it, and nobody reads them.
class SilentListener {
 public:
  SilentListener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    INDOUBT_CHECK(bind(fd_, any, length) == 0 && listen(fd_, 64) == 0 &&
                      getsockname(fd_, any, &length) == 0,
                  "a port of the loopback interface");
    port_ = ntohs(address.sin_port);
  }
  SilentListener(const SilentListener&) = delete;
  SilentListener& operator=(const SilentListener&) = delete;
  ~SilentListener() { close(fd_); }
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

class HungParticipant : public ::testing::Test {
 protected:
  void Kill(int64_t order, const std::string& point) {
    const Ran ran = stores_.Indoubt(stores_.OrderArguments(order),
                                    {{"INDOUBT_FAILPOINT", point + "=kill"}});
    ASSERT_TRUE(ran.DiedOf(SIGKILL)) << ran.err << ran.out;
  }
  void PointAccountsAt(const std::string& dsn) {
    std::string config = whole_;
    config.replace(config.find(stores_.postgres().dsn()), stores_.postgres().dsn().size(), dsn);
    std::ofstream(stores_.config_path()) << config;
  }
  void HangPostgres() {
    PointAccountsAt(
        fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres", silent_.port()));
  }
  void HealPostgres() { std::ofstream(stores_.config_path()) << whole_; }

  /// One pass.
  Ran Recover() {
    return stores_.Indoubt(
        {"recover", "-c", stores_.config_path(), "--timeout", "8s", "--json"});
  }
  /// What the report says of its only transaction's participant.
  static std::string AckOf(const nlohmann::json& report, const std::string& name) {
    for (const auto& participant : report["transactions"].at(0)["participants"]) {
      if (participant["name"] == name) return participant["ack"];
    }
    return "no such participant";
  }

  Stores stores_;
  const std::string whole_ = ReadText(stores_.config_path());
  SilentListener silent_;
};

TEST_F(HungParticipant, OrphansOfTheOthersAreRolledBackAndOnlyItIsBlamed) {
  // Of Redis and SQLite only: nothing of it is at the one that will not answer.
  const Ran killed = stores_.Indoubt(
      {"exec", "-c", stores_.config_path(), "--on", "stock", "INCRBY stock:42 -1", "--on",
       "ledger", "INSERT INTO entries VALUES (1, 7, 5)"},
      {{"INDOUBT_FAILPOINT", "voted=kill"}});
  ASSERT_TRUE(killed.DiedOf(SIGKILL)) << killed.err << killed.out;
  HangPostgres();
  const Ran ran = Recover();
  EXPECT_TRUE(ran.Exited(21)) << ran.err << ran.out;
  const auto report = nlohmann::json::parse(ran.out);
  EXPECT_THAT(report["unreachable"], ElementsAre("accounts"));
  EXPECT_EQ(report["rolled_back"], 1);
  EXPECT_THAT(ran.err, HasSubstr("accounts: cannot list"));
  EXPECT_THAT(ran.err, Not(HasSubstr("stock: cannot list")));
  EXPECT_EQ(stores_.AskRedis({"HLEN", "indoubt:locks"}), "0");
  EXPECT_EQ(stores_.AskSqlite("SELECT count(*) FROM indoubt_branch"), "0");
  HealPostgres();
  EXPECT_TRUE(Recover().Exited(0));
  EXPECT_EQ(stores_.OrderIn(1), "000");
  EXPECT_EQ(stores_.Leftovers(), "");
}

TEST_F(HungParticipant, ADecidedCommitIsAppliedAndReportedAtTheOthers) {
  Kill(1, "decision_durable");
  HangPostgres();
  const Ran ran = Recover();
  EXPECT_TRUE(ran.Exited(21)) << ran.err << ran.out;
  const auto report = nlohmann::json::parse(ran.out);
  EXPECT_THAT(report["unreachable"], ElementsAre("accounts"));
  EXPECT_EQ(AckOf(report, "accounts"), "unknown");
  EXPECT_EQ(AckOf(report, "stock"), "committed");
  EXPECT_EQ(AckOf(report, "ledger"), "committed");
  EXPECT_EQ(stores_.OrderIn(1), "011");
  HealPostgres();
  EXPECT_TRUE(Recover().Exited(0));
  EXPECT_EQ(stores_.OrderIn(1), "111");
  EXPECT_EQ(stores_.Leftovers(), "");
}

TEST_F(HungParticipant, AFileThatSomebodyHoldsIsNotWaitedForAtTheExpenseOfTheOthers) {
  Kill(1, "decision_durable");
  sqlite3* holder = nullptr;
  ASSERT_EQ(sqlite3_open(stores_.sqlite_path().c_str(), &holder), SQLITE_OK);
  // In WAL mode only this keeps readers out too.
  ASSERT_EQ(sqlite3_exec(holder,
                         "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;"
                         "UPDATE entries SET amount = amount",
                         nullptr, nullptr, nullptr),
            SQLITE_OK)
      << sqlite3_errmsg(holder);
  const Ran ran = Recover();
  sqlite3_close_v2(holder);
  EXPECT_TRUE(ran.Exited(21)) << ran.err << ran.out;
  const auto report = nlohmann::json::parse(ran.out);
  EXPECT_EQ(AckOf(report, "accounts"), "committed");
  EXPECT_EQ(AckOf(report, "stock"), "committed");
  EXPECT_EQ(AckOf(report, "ledger"), "unknown");
  EXPECT_TRUE(Recover().Exited(0));
  EXPECT_EQ(stores_.OrderIn(1), "111");
  EXPECT_EQ(stores_.Leftovers(), "");
}

}  // namespace
}  // namespace indoubt::testing
