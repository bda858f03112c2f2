// `indoubt exec` and its neighbours on three real stores, from the outside.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "faults/proxy.h"
#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;

class Exec : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { stores_ = new Stores; }
  static void TearDownTestSuite() {
    delete stores_;
    stores_ = nullptr;
  }
  /// exec of one order with these arguments added.
  Ran Order(int64_t order, const std::vector<std::string>& added = {}) {
    std::vector<std::string> arguments = stores_->OrderArguments(order);
    arguments.insert(arguments.end(), added.begin(), added.end());
    return stores_->Indoubt(arguments);
  }
  void ExpectNothingWritten(int64_t order) {
    EXPECT_EQ(stores_->OrderIn(order), "000");
    EXPECT_EQ(stores_->Leftovers(), "");
    EXPECT_EQ(stores_->Unbalanced(), "");
    EXPECT_EQ(stores_->Unwritable(order), "");
  }
  /// A configuration over the same stores, with `was` replaced by `now` in its text.
  std::string Config(const std::string& was, const std::string& now) {
    std::string text = ReadText(stores_->config_path());
    INDOUBT_CHECK(text.find(was) != std::string::npos, was);
    text.replace(text.find(was), was.size(), now);
    const std::string path = stores_->folder() + "/other.toml";
    std::ofstream(path) << text;
    return path;
  }
  /// Ended with what it has in the log's folder.
  static void Stop(Process& serve) {
    serve.Signal(SIGTERM);
    const auto end = serve.Wait(SystemClock().Now() + std::chrono::seconds(60));
    EXPECT_TRUE(end && !end->by_signal && end->code == 0);
  }
  static Stores* stores_;
};
Stores* Exec::stores_ = nullptr;

TEST_F(Exec, CommitsOverThreeStores) {
  const Ran ran = Order(1);
  ASSERT_TRUE(ran.Exited(0)) << ran.err << ran.out;
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["outcome"], "committed");
  EXPECT_TRUE(json["reason"].is_null());
  EXPECT_EQ(json["results"].size(), 5u);
  EXPECT_EQ(json["results"][0]["rows"], 1);
  ASSERT_EQ(json["participants"].size(), 3u);
  for (const auto& participant : json["participants"]) {
    EXPECT_EQ(participant["vote"], "yes");
    EXPECT_EQ(participant["ack"], "committed");
  }
  EXPECT_EQ(stores_->OrderIn(1), "111");
  EXPECT_EQ(stores_->Leftovers(), "");
  EXPECT_EQ(stores_->AskRedis({"HLEN", "indoubt:outcomes"}), "0");
  EXPECT_EQ(stores_->AskSqlite("SELECT count(*) FROM indoubt_outcome"), "0");
  EXPECT_EQ(stores_->Unbalanced(), "");
}

struct Refusal {
  const char* what;
  std::vector<std::string> added;
  int exit_code;
  const char* names;  // the participant that the reason must name
};

TEST_F(Exec, RefusalNamesTheParticipantAndWritesNothing) {
  const std::vector<Refusal> refusals{
      {"failing statement", {"--on", "accounts", "SELECT 1/0"}, 20, "accounts"},
      {"no such table", {"--on", "ledger", "INSERT INTO nowhere VALUES (1)"}, 20, "ledger"},
      {"violated check",
       {"--on", "accounts", "UPDATE account SET balance = -1"},
       20,
       "accounts"},
      {"violated key",
       {"--on", "ledger", "INSERT INTO entries VALUES (2, 7, 5)"},
       20,
       "ledger"},
      {"wrong type", {"--on", "stock", "LPUSH stock:42 x"}, 20, "stock"},
      {"overflow", {"--on", "stock", "INCRBY stock:42 9223372036854775807"}, 20, "stock"},
      {"unsupported command", {"--on", "stock", "FLUSHALL"}, 20, "stock"},
      {"too few rows",
       {"--on", "accounts", "UPDATE account SET balance = 0 WHERE id = -1", "--rows", "1"},
       20,
       "accounts"},
      {"unknown participant", {"--on", "nobody", "SELECT 1"}, 2, "nobody"}};
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.what);
    const Ran ran = Order(2, refusal.added);
    EXPECT_TRUE(ran.Exited(refusal.exit_code)) << ran.err << ran.out;
    const std::string line = ran.err.substr(ran.err.find("indoubt: "));
    EXPECT_THAT(line, HasSubstr(refusal.names));
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << "not one line: " << line;
    ExpectNothingWritten(2);
  }
}

TEST_F(Exec, UnreachableParticipantIsAnEnvironmentError) {
  stores_->redis().Kill();
  const Ran ran = Order(3);
  ASSERT_TRUE(stores_->redis().Restart().ok());
  EXPECT_TRUE(ran.Exited(3)) << ran.err << ran.out;
  EXPECT_THAT(ran.err, HasSubstr("stock"));
  ExpectNothingWritten(3);
}

TEST_F(Exec, TxnListSaysWhichParticipantItCouldNotAsk) {
  stores_->redis().Kill();
  const Ran ran = stores_->Indoubt({"txn", "list", "-c", stores_->config_path()});
  ASSERT_TRUE(stores_->redis().Restart().ok());
  EXPECT_TRUE(ran.Exited(21)) << ran.err << ran.out;
  EXPECT_THAT(ran.err, HasSubstr("stock"));
}

TEST_F(Exec, ParamsAreBoundAndNotParsed) {
  const Ran ran = stores_->Indoubt({"exec", "-c", stores_->config_path(), "--on", "accounts",
                                    "INSERT INTO orders VALUES ($1, $2)", "--param", "50",
                                    "--param", "7", "--rows", "1", "--on", "stock", "SET $1 $2",
                                    "--param", "note:50", "--param", "it's; DROP"});
  ASSERT_TRUE(ran.Exited(0)) << ran.err << ran.out;
  EXPECT_EQ(stores_->AskRedis({"GET", "note:50"}), "it's; DROP");
  EXPECT_EQ(stores_->AskPostgres("SELECT account FROM orders WHERE id = 50"), "7");
  stores_->AskPostgres("DELETE FROM orders WHERE id = 50");
}

TEST_F(Exec, ACommitWhoseResultCannotBePrintedStillExitsZero) {
  ProcessSpec spec;
  spec.argv = {std::getenv("INDOUBT_BINARY")};
  const std::vector<std::string> order = stores_->OrderArguments(90);
  spec.argv.insert(spec.argv.end(), order.begin(), order.end());
  spec.stdout_path = "/dev/full";
  spec.output_path = stores_->folder() + "/full.err";
  auto process = Process::Start(spec);
  ASSERT_TRUE(process) << process.error().ToString();
  const auto end = (*process)->Wait(SystemClock().Now() + std::chrono::seconds(30));
  ASSERT_TRUE(end && !end->by_signal);
  EXPECT_EQ(end->code, 0);
  EXPECT_EQ(stores_->OrderIn(90), "111");
  std::ifstream said(spec.output_path);
  const std::string text{std::istreambuf_iterator<char>(said), {}};
  EXPECT_THAT(text, HasSubstr("stdout cannot be written; the transaction: committed"));
}

TEST_F(Exec, AnOptionIsNotTakenForAStatement) {
  const Ran ran =
      stores_->Indoubt({"exec", "-c", stores_->config_path(), "--on", "accounts", "--json"});
  EXPECT_TRUE(ran.Exited(2)) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("no statement follows"));
}

TEST_F(Exec, AWordThatBelongsToNoOptionStopsItAll) {
  const std::string insert = "INSERT INTO entries VALUES (88, 7, 5)";
  const std::vector<std::string> begin{"exec", "-c",    stores_->config_path(),
                                       "--on", "stock", "INCRBY stock:42 -1"};
  // A forgotten --on, or a FILE behind: half of what was asked must not be done.
  for (const std::vector<std::string>& rest :
       {std::vector<std::string>{"ledger", insert}, std::vector<std::string>{"more.toml"},
        std::vector<std::string>{"more.toml", "stray"},
        std::vector<std::string>{"--on", "ledger", insert, "stray"}}) {
    std::vector<std::string> words = begin;
    words.insert(words.end(), rest.begin(), rest.end());
    const Ran ran = stores_->Indoubt(words);
    EXPECT_TRUE(ran.Exited(2)) << rest.back() << ": " << ran.out << ran.err;
  }
  EXPECT_EQ(stores_->AskSqlite("SELECT count(*) FROM entries WHERE order_id = 88"), "0");
}

TEST_F(Exec, UsageErrorsExitTwoAndSayWhatToWrite) {
  EXPECT_TRUE(stores_->Indoubt({"exec", "-c", stores_->config_path()}).Exited(2));
  EXPECT_TRUE(stores_->Indoubt({"exec", "--on", "a", "b"}).Exited(2));
  EXPECT_TRUE(stores_->Indoubt({"frobnicate"}).Exited(2));
  const Ran unit = Order(4, {"--timeout", "5"});
  EXPECT_TRUE(unit.Exited(2));
  EXPECT_THAT(unit.err, HasSubstr("no unit"));
  const Ran point = stores_->Indoubt({"list", "faults"}, {{"INDOUBT_FAILPOINT", "nope=kill"}});
  EXPECT_TRUE(point.Exited(2));
  EXPECT_THAT(point.err, HasSubstr("nope"));
}

TEST_F(Exec, ALogThatCannotBeThereIsSaidWithFileAndKey) {
  const std::string config =
      Config("[participants.accounts]",
             "[log]\npath = \"no/such/decisions\"\n[participants.accounts]");
  for (const char* verb : {"recover", "serve"}) {
    const Ran ran = stores_->Indoubt({verb, "-c", config});
    EXPECT_TRUE(ran.Exited(2)) << ran.err;
    EXPECT_THAT(ran.err, ::testing::ContainsRegex("other.toml:[0-9]+:8: log.path: "));
  }
}

TEST_F(Exec, AnAddressThatIsNotOursIsSaidInOneLine) {
  const std::string config =
      Config(stores_->service_address(), "203.0.113.7:7440");  // for documentation only
  const Ran ran = stores_->Indoubt({"serve", "-c", config});
  EXPECT_TRUE(ran.Exited(3)) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("coordinator.listen: cannot listen on 203.0.113.7:7440"));
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
}

TEST_F(Exec, ASecondServeIsRefusedAndTheFirstStaysReachable) {
  const auto serve = stores_->Serve();
  ASSERT_TRUE(serve->Running());
  const std::string config = Config("[participants.accounts]",
                                    "[log]\npath = \"decisions2\"\n[participants.accounts]");
  const Ran second = stores_->Indoubt({"serve", "-c", config});
  EXPECT_TRUE(second.Exited(3)) << second.err;
  EXPECT_THAT(second.err, HasSubstr("in use"));
  const Ran asked = stores_->Indoubt(
      {"exec", "--server", stores_->service_address(), "--on", "accounts", "SELECT 1"});
  EXPECT_TRUE(asked.Exited(0)) << asked.err;
  Stop(*serve);
}

TEST_F(Exec, AServerBehindASlowLinkIsReachedAndOneThatIsNotThereIsNamed) {
  const std::string address = "unix:" + stores_->folder() + "/slow.sock";
  const auto ask = [&] {
    return stores_->Indoubt(
        {"exec", "--server", address, "--timeout", "30s", "--on", "accounts", "SELECT 1"});
  };
  const Ran nobody = ask();
  EXPECT_TRUE(nobody.Exited(3)) << nobody.err;
  EXPECT_THAT(nobody.err, HasSubstr(address));
  EXPECT_THAT(nobody.err, HasSubstr("is `indoubt serve` running there?"));

  const auto serve = stores_->Serve();
  ASSERT_TRUE(serve->Running());
  auto proxy = Proxy::Start({.listen = address, .server = stores_->service_address()});
  ASSERT_TRUE(proxy) << proxy.error().ToString();
  for (const Direction direction : {Direction::kToServer, Direction::kToClient}) {
    (*proxy)->SetConditions(direction, {.latency = std::chrono::milliseconds(150)});
  }
  const Ran slow = ask();
  EXPECT_TRUE(slow.Exited(0)) << slow.err;
  Stop(*serve);
}

TEST_F(Exec, HostileGidsAreRefusedWithAClearError) {
  for (const std::string& gid : {std::string(100'000, 'x'),
                                 std::string("a\x01"
                                             "b"),
                                 std::string("\xff\xfe"), std::string("shop-1.x.1.1")}) {
    const Ran ran = stores_->Indoubt({"txn", "show", gid, "-c", stores_->config_path()});
    EXPECT_TRUE(ran.Exited(2)) << ran.err;
    EXPECT_LT(ran.err.size(), 1000u);
  }
}

TEST_F(Exec, FailedDecisionWriteIsInDoubtUntilRecovered) {
  const Ran ran = stores_->Indoubt(stores_->OrderArguments(5),
                                   {{"INDOUBT_FAILPOINT", "decision_written=error"}});
  EXPECT_TRUE(ran.Exited(21)) << ran.err << ran.out;
  EXPECT_NE(stores_->Leftovers(), "");
  const Ran recovered = stores_->Indoubt({"recover", "-c", stores_->config_path()});
  EXPECT_TRUE(recovered.Exited(0)) << recovered.err << recovered.out;
  const std::string held = stores_->OrderIn(5);
  EXPECT_TRUE(held == "000" || held == "111") << held;
  EXPECT_EQ(stores_->Leftovers(), "");
}

TEST_F(Exec, DoctorSaysThatTheStoresKeepThePromise) {
  const Ran ran = stores_->Indoubt({"doctor", "-c", stores_->config_path(), "--json"});
  ASSERT_TRUE(ran.Exited(0)) << ran.err << ran.out;
  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["healthy"], true);
  EXPECT_EQ(json["participants"].size(), 3u);
}

TEST_F(Exec, LogInspectShowsTheDecision) {
  const Ran ran = Order(6);
  ASSERT_TRUE(ran.Exited(0)) << ran.err;
  const std::string gid = nlohmann::json::parse(ran.out)["gid"];
  const Ran log = stores_->Indoubt({"log", "inspect", stores_->log_path()});
  ASSERT_TRUE(log.Exited(0)) << log.err;
  EXPECT_THAT(log.out, HasSubstr("commit " + gid));

  const std::string copy = stores_->folder() + "/damaged";
  std::filesystem::copy(stores_->log_path(), copy, std::filesystem::copy_options::recursive);
  for (const auto& entry : std::filesystem::directory_iterator(copy)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("segment-")) std::filesystem::resize_file(entry.path(), 100);
  }
  const Ran damaged = stores_->Indoubt({"log", "inspect", copy});
  EXPECT_TRUE(damaged.Exited(3)) << damaged.err;
  EXPECT_THAT(damaged.out, HasSubstr(" damage "));
  EXPECT_THAT(damaged.err, HasSubstr(copy + ": damaged at one place"));
}

}  // namespace
}  // namespace indoubt::testing
