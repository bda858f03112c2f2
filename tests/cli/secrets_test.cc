// No password of a DSN or URI gets out: not in what any verb prints, nor in a log, a run's
// files or the title of a process; whether it is right, wrong, or nobody is there to ask.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/participants/redis/redis_ask.h"
#include "tests/support/eventually.h"
#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// `text` as a part of a URI.
std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    escaped +=
        plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return escaped;
}

/// The names of `pid` and of all below it, as anybody on the machine reads them.
std::string Titles(pid_t pid) {
  std::string titles = ReadText(fmt::format("/proc/{}/cmdline", pid)) + "\n";
  std::istringstream children(ReadText(fmt::format("/proc/{0}/task/{0}/children", pid)));
  for (pid_t child = 0; children >> child;) titles += Titles(child);
  return titles;
}

std::string AllTextBelow(const std::string& folder) {
  std::string all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) all += ReadText(entry.path());
  }
  return all;
}

class Secrets : public ::testing::Test {
 protected:
  // In every word there is a piece that stands nowhere else.
  static constexpr const char* kRight = "xy7right pa'ss\\w@o/r?d";
  static constexpr const char* kWrong = "xy7wrong@pa/ss:w";

  static void SetUpTestSuite() {
    stores_ = new Stores;
    // The shop's own role comes in by password only; the tests' superuser as before.
    const std::string rules = stores_->postgres().data_folder() + "/pg_hba.conf";
    const std::string before = ReadText(rules);
    std::ofstream(rules) << "local all teller scram-sha-256\n" << before;
    std::string quoted;
    for (const char c : std::string(kRight)) quoted += c == '\'' ? "''" : std::string(1, c);
    stores_->AskPostgres("CREATE ROLE teller LOGIN PASSWORD '" + quoted + "'");
    stores_->AskPostgres("GRANT ALL ON account, orders TO teller");
    stores_->AskPostgres("CREATE DATABASE lab OWNER teller");  // which a run may clear
    stores_->AskPostgres("SELECT pg_reload_conf()");
    redis_port_ = OpenTcpPort(stores_->redis());
    EXPECT_EQ(Ask(stores_->redis(),
                  {"ACL", "SETUSER", "teller", "on", ">" + std::string(kRight), "~*", "+@all"}),
              "OK");
  }
  static void TearDownTestSuite() {
    delete stores_;
    stores_ = nullptr;
  }

  /// Both forms of a libpq connection string.
  static std::vector<std::string> Dsns(const std::string& password, bool reachable,
                                       const std::string& database = "postgres") {
    const std::string folder =
        reachable ? stores_->postgres().socket_folder() : stores_->folder() + "/nobody";
    std::string quoted;
    for (const char c : password) {
      if (c == '\'' || c == '\\') quoted += '\\';
      quoted += c;
    }
    return {
        fmt::format("host={} user=teller dbname={} password='{}'", folder, database, quoted),
        fmt::format("postgresql://teller:{}@/{}?host={}", Escaped(password), database,
                    Escaped(folder))};
  }
  static std::string Uri(const std::string& password, bool reachable, int database = 0) {
    return fmt::format("redis://teller:{}@127.0.0.1:{}/{}", Escaped(password),
                       reachable ? redis_port_ : "1", database);
  }

  /// A configuration with these addresses in the environment, as dsn_env wants it.
  static std::string WriteConfig(const std::string& text) {
    const std::string path = stores_->folder() + "/secrets.toml";
    std::ofstream(path) << fmt::format(
        "[coordinator]\nnode = \"shop-1\"\nlisten = \"unix:{}/secrets.sock\"\n"
        "[log]\npath = \"secret-decisions\"\n"
        "[participants.ledger]\nkind = \"sqlite\"\npath = \"ledger.db\"\n"
        "tables = [\"entries\"]\n{}",
        stores_->folder(), text);
    return path;
  }
  static std::string Literal(const std::string& text) {
    std::string literal = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') literal += '\\';
      literal += c;
    }
    return literal + "\"";
  }
  static std::string WriteConfig(const std::string& dsn, const std::string& uri) {
    return WriteConfig("[participants.accounts]\nkind = \"postgres\"\ndsn = " + Literal(dsn) +
                       "\n[participants.stock]\nkind = \"redis\"\nuri = " + Literal(uri) +
                       "\n");
  }

  /// The pieces of a password that `text` shows.
  static std::vector<std::string> ShownIn(const std::string& text) {
    std::vector<std::string> shown;
    for (const char* piece : {"xy7", "right pa", "right%20pa", "wrong@pa", "wrong%40pa",
                              "o/r?d", "o%2Fr%3Fd", "ss:w", "ss%3Aw"}) {
      if (text.find(piece) != std::string::npos) shown.emplace_back(piece);
    }
    return shown;
  }
  static void ExpectSilent(const Ran& ran) {
    EXPECT_THAT(ShownIn(ran.out), IsEmpty()) << ran.out;
    EXPECT_THAT(ShownIn(ran.err), IsEmpty()) << ran.err;
  }

  static std::vector<std::string> ExecWords(const std::string& config) {
    return {"exec", "-c",    config,      "--timeout",
            "3s",   "--on",  "accounts",  "UPDATE account SET balance = balance WHERE id = 7",
            "--on", "stock", "SET seen 1"};
  }
  /// Runs every verb that connects, in words and as JSON; `exit` is what exec must exit with.
  static void RunAllVerbs(const std::string& config, int exit) {
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"doctor", "-c", config, "--timeout", "3s"},
                                               ExecWords(config),
                                               {"recover", "-c", config},
                                               {"txn", "list", "-c", config}}) {
      for (const bool json : {false, true}) {
        SCOPED_TRACE(words[0] + (json ? " --json" : ""));
        std::vector<std::string> all = words;
        if (json) all.emplace_back("--json");
        const Ran ran = stores_->Indoubt(all);
        ASSERT_TRUE(ran.end && !ran.end->by_signal) << ran.err;
        if (words[0] == "exec") {
          EXPECT_EQ(ran.end->code, exit) << ran.err;
        }
        if (exit != 0) {
          EXPECT_FALSE(ran.err.empty() && ran.out.empty()) << "nothing to look at";
        }
        ExpectSilent(ran);
      }
    }
  }
  /// Serves until it has had time to try its participants, and ends it.
  static void ServeOnce(const std::string& config) {
    SCOPED_TRACE("serve");
    const std::string output = stores_->folder() + "/secrets.out";
    std::filesystem::remove(output);
    const auto serving = StartServing(config, output);
    const std::string titles = Titles(serving->pid());
    EXPECT_THAT(titles, HasSubstr("serve"));
    EXPECT_THAT(ShownIn(titles), IsEmpty());
    ExpectSilent(stores_->Indoubt(ExecWords(config)));  // through its control socket
    serving->Signal(SIGTERM);
    EXPECT_TRUE(serving->Wait(SystemClock().Now() + std::chrono::seconds(60)));
    const std::string said = ReadText(output);
    EXPECT_THAT(said, HasSubstr("indoubt"));
    EXPECT_THAT(ShownIn(said), IsEmpty()) << said;
  }
  static void ExpectLogSilent() {
    const std::string log = AllTextBelow(stores_->folder() + "/secret-decisions");
    EXPECT_FALSE(log.empty());
    EXPECT_THAT(ShownIn(log), IsEmpty());
  }

  static Stores* stores_;
  static std::string redis_port_;
};
Stores* Secrets::stores_ = nullptr;
std::string Secrets::redis_port_;

TEST_F(Secrets, RightPasswordsAreUsedAndShownByNoVerb) {
  for (const std::string& dsn : Dsns(kRight, true)) {
    SCOPED_TRACE(dsn);
    const std::string config = WriteConfig(dsn, Uri(kRight, true));
    RunAllVerbs(config, 0);
    ServeOnce(config);
    ExpectLogSilent();
  }
}

TEST_F(Secrets, WrongPasswordsAreShownByNoVerb) {
  for (const std::string& dsn : Dsns(kWrong, true)) {
    SCOPED_TRACE(dsn);
    const std::string config = WriteConfig(dsn, Uri(kWrong, true));
    RunAllVerbs(config, 3);
    ServeOnce(config);
    ExpectLogSilent();
  }
}

TEST_F(Secrets, PasswordsOfUnreachableServersAreShownByNoVerb) {
  for (const std::string& dsn : Dsns(kRight, false)) {
    SCOPED_TRACE(dsn);
    const std::string config = WriteConfig(dsn, Uri(kRight, false));
    RunAllVerbs(config, 3);
    ServeOnce(config);
    ExpectLogSilent();
  }
}

TEST_F(Secrets, AddressesThatCannotBeReadAreShownByNoVerb) {
  const std::string accounts = "[participants.accounts]\nkind = \"postgres\"\n";
  const std::string stock = "[participants.stock]\nkind = \"redis\"\n";
  for (const std::string& text :
       {accounts + "dsn = \"host=h password=xy7wrong secret\"\n",
        accounts + "dsn = \"postgresql://teller:xy7wrong/pa@host/bank\"\n",
        accounts + "dsn = \"postgresql://teller:xy7wrong%zz@host/bank\"\n",
        accounts + "dsn = \"postgresql://teller:a@xy7wrong@host/bank\"\n",
        accounts + "dsn = \"host=h password=xy7wrong\n",  // the quote is not closed
        accounts + "dsn = [\"host=h password=xy7wrong\"]\n",
        accounts + "dsn_env = \"host=h password=xy7wrong\"\n",
        accounts + "dsn = host=h password=xy7wrong\n",
        stock + "uri = \"redis://teller:xy7wrong/pa@127.0.0.1/0\"\n",
        stock + "uri = \"redis://:12/xy7wrong@127.0.0.1/0\"\n",
        stock + "uri = \"rediss://teller:xy7wrong@127.0.0.1/0\"\n",
        stock + "uri = \"unix:///socket?password=xy7wrong\"\n",
        stock + "uri = \"redis://teller:xy7wrong@127.0.0.1:port/0\"\n",
        stock + "uri_env = \"redis://teller:xy7wrong@127.0.0.1/0\"\n"}) {
    SCOPED_TRACE(text);
    const std::string config = WriteConfig(text);
    for (const char* verb : {"doctor", "recover", "serve"}) {
      const Ran ran = stores_->Indoubt({verb, "-c", config});
      EXPECT_TRUE(ran.Exited(2)) << ran.err;
      EXPECT_FALSE(ran.err.empty());
      ExpectSilent(ran);
    }
  }
}

TEST_F(Secrets, RunShowsThemNeitherInItsTitlesNorInItsFiles) {
  const std::string folder = stores_->folder() + "/runs";
  for (const std::string& dsn : Dsns(kRight, true, "lab")) {
    SCOPED_TRACE(dsn);
    ProcessSpec spec;
    spec.argv = {std::getenv("INDOUBT_BINARY"),
                 "run",
                 "quiet",
                 "--repeat",
                 "1",
                 "--out",
                 folder,
                 "--set",
                 "load.warmup=100ms",
                 "--set",
                 "load.duration=300ms",
                 "--set",
                 "matrix.paths=[\"2pc\"]",
                 "--set",
                 "workload.accounts=20",
                 "--set",
                 "workload.items=20",
                 "--postgres",
                 dsn,
                 "--redis=" + Uri(kRight, true, 1)};
    spec.output_path = stores_->folder() + "/run.err";
    std::filesystem::remove(spec.output_path);
    auto started = Process::Start(spec);
    ASSERT_TRUE(started) << started.error().ToString();
    Process& run = **started;
    // A program can hide its words no sooner than it runs; from then on they stay hidden.
    ASSERT_TRUE(Eventually([&] {
      const std::string title = Titles(run.pid());
      return title.find("--postgres") != std::string::npos && ShownIn(title).empty();
    })) << "never hidden";
    bool has_served = false;
    while (run.Running()) {
      const std::string titles = Titles(run.pid());
      EXPECT_THAT(ShownIn(titles), IsEmpty()) << titles;
      has_served = has_served || titles.find("serve") != std::string::npos;
    }
    EXPECT_TRUE(has_served) << "no child of it was looked at";
    const auto end = run.Wait(SystemClock().Now() + std::chrono::seconds(1));
    const std::string said = ReadText(spec.output_path);
    EXPECT_TRUE(end && !end->by_signal) << said;
    EXPECT_THAT(said, HasSubstr("report"));
    EXPECT_THAT(ShownIn(said), IsEmpty()) << said;
    EXPECT_THAT(ShownIn(AllTextBelow(folder)), IsEmpty());
  }
}

TEST_F(Secrets, RunThatCannotConnectShowsNone) {
  for (const bool reachable : {true, false}) {
    for (const std::string& dsn : Dsns(kWrong, reachable)) {
      const Ran postgres = stores_->Indoubt(
          {"run", "quiet", "--out", stores_->folder() + "/runs", "--postgres", dsn});
      EXPECT_TRUE(postgres.end && postgres.end->code != 0);
      EXPECT_FALSE(postgres.err.empty());
      ExpectSilent(postgres);
    }
    const Ran redis = stores_->Indoubt({"run", "quiet", "--out", stores_->folder() + "/runs",
                                        "--redis", Uri(kWrong, reachable)});
    EXPECT_TRUE(redis.end && redis.end->code != 0);
    EXPECT_FALSE(redis.err.empty());
    ExpectSilent(redis);
  }
}

}  // namespace
}  // namespace indoubt::testing
