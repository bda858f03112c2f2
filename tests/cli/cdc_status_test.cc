// `indoubt cdc status` and the worker's metrics, on real stores, from the outside.
#include <atomic>
#include <csignal>
#include <filesystem>
#include <future>
#include <sstream>

#include <boost/asio/ip/tcp.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/cdc_shop.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr const char* kMetricsOnAFreePort = "metrics = \"127.0.0.1:0\"\n";

Json StatusOf(CdcShop& shop, int exit_code, const std::string& sample = "0s") {
  const Ran ran = shop.Cdc({"status", "--json", "--sample", sample});
  EXPECT_TRUE(ran.Exited(exit_code)) << ran.err << ran.out;
  return Json::parse(ran.out);
}

void Order(CdcShop& shop, int64_t id) {
  shop.stores().AskPostgres(fmt::format("INSERT INTO orders VALUES ({}, 7)", id));
}

/// A worker has shown one order, was killed, and its slot is free.
void LeaveAWorkerBehind(CdcShop& shop) {
  const auto worker = shop.StartWorker();
  Order(shop, 1);
  ASSERT_TRUE(shop.ShowOrder(1)) << shop.worker_output();
  worker->KillAndWait();
  EXPECT_TRUE(Eventually([&] {
    return shop.stores().AskPostgres("SELECT active FROM pg_replication_slots") == "f";
  }));
}

Json ViewNamed(const Json& status, const std::string& name) {
  for (const Json& view : status["views"]) {
    if (view["view"] == name) return view;
  }
  ADD_FAILURE() << "no view " << name << " in " << status;
  return {};
}

struct HttpReply {
  std::string head, body;
};

HttpReply Get(const std::string& port, const std::string& target) {
  boost::asio::ip::tcp::iostream stream("127.0.0.1", port);
  stream << "GET " << target << " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
         << std::flush;
  std::ostringstream all;
  all << stream.rdbuf();
  const std::string text = all.str();
  const size_t blank = text.find("\r\n\r\n");
  if (blank == std::string::npos) return {text, ""};
  return {text.substr(0, blank), text.substr(blank + 4)};
}

/// Where the worker says that its metrics are.
std::string MetricsPort(const CdcShop& shop) {
  const std::string text = shop.worker_output();
  const std::string before = "http://127.0.0.1:";
  const size_t at = text.find(before);
  if (at == std::string::npos) return "";
  return text.substr(at + before.size(),
                     text.find('/', at + before.size()) - at - before.size());
}

/// The sample of that name, labels included; none when it is absent.
std::optional<double> Sample(const std::string& metrics, const std::string& name) {
  const size_t at = metrics.find("\n" + name + " ");
  if (at == std::string::npos) return std::nullopt;
  return std::stod(metrics.substr(at + name.size() + 2));
}

TEST(CdcStatus, TellsOfSourceSlotLogAndViewsWhileTheWorkerRuns) {
  CdcShop shop;
  const auto worker = shop.StartWorker();
  Order(shop, 1);
  ASSERT_TRUE(shop.ShowOrder(1));
  Json status;
  // Positions follow other tables' WAL within a moment: then nothing is late any more.
  EXPECT_TRUE(Eventually([&] {
    status = StatusOf(shop, 0);
    return ViewNamed(status, "cache")["lag_seconds"] == 0.0 &&
           ViewNamed(status, "table")["lag_seconds"] == 0.0;
  })) << status;
  EXPECT_EQ(status["slot"]["active"], true);
  EXPECT_TRUE(status["source_warning"].is_null()) << status;
  EXPECT_GT(status["log"]["free_bytes"], 0);
  EXPECT_EQ(status["slot"]["wal_status"], "reserved");
  EXPECT_GT(status["slot"]["retained_wal_bytes"], 0);
  EXPECT_NE(status["slot"]["confirmed_lsn"], "0/0");
  EXPECT_NE(status["slot"]["restart_lsn"], "0/0");
  EXPECT_EQ(status["log"]["staged"], 0);
  for (const char* name : {"cache", "table"}) {
    const Json view = ViewNamed(status, name);
    EXPECT_EQ(view["lag_bytes"], 0) << view;
    EXPECT_EQ(view["backlog_events"], 0) << view;
    EXPECT_EQ(view["parked_events"], 0) << view;
    EXPECT_EQ(view["applied_events"], status["log"]["events"]) << view;
    EXPECT_TRUE(view["problem"].is_null()) << view;
    EXPECT_TRUE(view["rate_per_s"].is_null()) << "nobody watched: " << view;
  }
  EXPECT_EQ(ViewNamed(StatusOf(shop, 0, "100ms"), "cache")["rate_per_s"], 0.0);
}

TEST(CdcStatus, WhileOrdersComeTheirRateIsAboveZero) {
  CdcShop shop;
  const auto worker = shop.StartWorker();
  std::atomic<bool> seen = false;
  auto orders = std::async(std::launch::async, [&] {
    int64_t order = 0;
    while (!seen) Order(shop, ++order);
  });
  Json status;
  EXPECT_TRUE(Eventually([&] {
    status = StatusOf(shop, 0, "100ms");
    return status["log"]["rate_per_s"] > 0.0 &&
           ViewNamed(status, "cache")["rate_per_s"] > 0.0 &&
           ViewNamed(status, "table")["rate_per_s"] > 0.0;
  })) << status;
  seen = true;
  orders.get();
}

TEST(CdcStatus, SaysHowLateAViewIsWhoseSinkIsDownAndNamesIt) {
  CdcShop shop;
  const auto worker = shop.StartWorker();
  Order(shop, 1);
  ASSERT_TRUE(shop.ShowOrder(1));
  shop.stores().redis().Kill();
  Order(shop, 2);
  Json status;
  EXPECT_TRUE(Eventually([&] {
    status = StatusOf(shop, 3);
    return ViewNamed(status, "table")["backlog_events"] == 0 && status["log"]["events"] > 2;
  })) << status;
  const Json view = ViewNamed(status, "cache");
  EXPECT_TRUE(view["position"].is_null()) << view;
  EXPECT_TRUE(view["lag_bytes"].is_null()) << view;
  EXPECT_THAT(view["problem"]["message"].get<std::string>(), HasSubstr("view cache"));
  EXPECT_TRUE(ViewNamed(status, "table")["problem"].is_null());
}

TEST(CdcStatus, WithoutAWorkerTheBacklogAndTheAgeOfTheOldestCommitAreKnown) {
  CdcShop shop;
  const auto worker = shop.StartWorker();
  Order(shop, 1);
  ASSERT_TRUE(shop.ShowOrder(1));
  shop.stores().redis().Kill();
  for (int order = 2; order <= 4; ++order) Order(shop, order);
  EXPECT_TRUE(
      Eventually([&] { return ViewNamed(StatusOf(shop, 3), "table")["applied_events"] >= 5; }));
  worker->KillAndWait();
  ASSERT_TRUE(shop.stores().redis().Restart().ok());
  const Json status = StatusOf(shop, 0);
  EXPECT_EQ(status["slot"]["active"], false);
  EXPECT_THAT(std::string(status["source_warning"]), HasSubstr("nobody follows slot"));
  EXPECT_THAT(shop.Cdc({"status", "--sample", "0s"}).err, HasSubstr("nobody follows slot"));
  const Json late = ViewNamed(status, "cache");
  EXPECT_EQ(late["backlog_events"], 3) << status;
  EXPECT_GT(late["lag_bytes"], 0);
  EXPECT_GT(late["lag_seconds"], 0.0);
  EXPECT_EQ(ViewNamed(status, "table")["backlog_events"], 0);
  // It grows older as long as nobody shows it.
  EXPECT_GT(ViewNamed(StatusOf(shop, 0), "cache")["lag_seconds"], late["lag_seconds"]);
  // What is not in the log yet has no age that anybody knows: none, and not 0.
  Order(shop, 5);
  EXPECT_TRUE(ViewNamed(StatusOf(shop, 0), "table")["lag_seconds"].is_null());
  EXPECT_GT(ViewNamed(StatusOf(shop, 0), "table")["lag_bytes"], 0);
}

TEST(CdcStatus, ALostSlotAndAnUnreachableSourceAreNamed) {
  CdcShop shop;
  const Ran before = shop.Cdc({"status"});
  EXPECT_TRUE(before.Exited(3)) << before.err;
  EXPECT_THAT(before.err, HasSubstr("there is no event log"));
  EXPECT_THAT(before.err, HasSubstr("no worker has run"));
  EXPECT_THAT(before.out, HasSubstr("table: at nothing yet"));
  ASSERT_NO_FATAL_FAILURE(LeaveAWorkerBehind(shop));
  shop.stores().AskPostgres("SELECT pg_drop_replication_slot('indoubt')");
  const Ran lost = shop.Cdc({"status", "--sample", "0s"});
  EXPECT_TRUE(lost.Exited(3)) << lost.err;
  EXPECT_THAT(lost.err, HasSubstr("replication slot \"indoubt\" is gone"));
  EXPECT_THAT(lost.out, HasSubstr("indoubt: not there"));
  shop.stores().postgres().StopFast();
  const Json status = StatusOf(shop, 3);
  EXPECT_TRUE(status["source"].is_null());
  EXPECT_EQ(status["source_problem"]["code"], "unavailable");
  EXPECT_TRUE(ViewNamed(status, "table")["lag_bytes"].is_null());
  EXPECT_FALSE(ViewNamed(status, "table")["position"].is_null());
}

TEST(CdcStatus, APublicationThatWasAlteredIsNamedByStatusAndDoctor) {
  CdcShop shop;
  ASSERT_NO_FATAL_FAILURE(LeaveAWorkerBehind(shop));
  const std::string name = shop.stores().AskPostgres("SELECT pubname FROM pg_publication");
  shop.stores().AskPostgres("ALTER PUBLICATION " + name + " DROP TABLE orders");
  shop.stores().AskPostgres("ALTER PUBLICATION " + name + " ADD TABLE orders");
  const Json status = StatusOf(shop, 3);
  EXPECT_EQ(status["source_problem"]["code"], "refused") << status;
  EXPECT_THAT(std::string(status["source_problem"]["message"]),
              HasSubstr("table public.orders was taken out or narrowed"));
  const Ran doctor = shop.stores().Indoubt({"doctor", "-c", shop.config_path()});
  EXPECT_TRUE(doctor.Exited(3)) << doctor.out << doctor.err;
  EXPECT_THAT(doctor.out + doctor.err,
              HasSubstr("table public.orders was taken out or narrowed"));
}

TEST(CdcStatus, ARestoredSourceThatIsBeyondTheLogsEndAgainIsNamedByStatusAndDoctor) {
  CdcShop shop;
  ASSERT_NO_FATAL_FAILURE(LeaveAWorkerBehind(shop));
  PostgresServer& source = shop.stores().postgres();
  const std::string data = source.data_folder(), backup = data + ".backup";
  const auto copy = [](const std::string& from, const std::string& to) {
    const auto copied = RunProgram({.argv = {"cp", "-a", from, to}},
                                   SystemClock().Now() + std::chrono::minutes(1));
    ASSERT_TRUE(copied) << copied.error().ToString();
  };
  source.StopFast();
  copy(data, backup);
  ASSERT_TRUE(source.Restart().ok());
  const auto worker = shop.StartWorker();
  Order(shop, 2);
  ASSERT_TRUE(shop.ShowOrder(2)) << shop.worker_output();
  worker->KillAndWait();
  source.StopFast();
  std::filesystem::remove_all(data);
  copy(backup, data);
  ASSERT_TRUE(source.Restart().ok());
  for (int order = 3; order < 300; ++order) Order(shop, order);
  const Json status = StatusOf(shop, 3);
  EXPECT_EQ(status["source_problem"]["code"], "corrupt") << status;
  EXPECT_THAT(std::string(status["source_problem"]["message"]),
              HasSubstr("has written on since"));
  const Ran doctor = shop.stores().Indoubt({"doctor", "-c", shop.config_path()});
  EXPECT_TRUE(doctor.Exited(3)) << doctor.out << doctor.err;
  EXPECT_THAT(doctor.out + doctor.err, HasSubstr("has written on since"));
}

TEST(CdcStatus, AViewWhoseFileIsRemovedOrReplacedUnderTheWorkerStopsAndNamesIt) {
  CdcShop shop;
  const auto worker = shop.StartWorker();
  Order(shop, 1);
  ASSERT_TRUE(shop.ShowOrder(1));
  std::filesystem::rename(shop.view_path(), shop.view_path() + ".aside");
  Json problem = ViewNamed(StatusOf(shop, 3), "table")["problem"];
  EXPECT_THAT(std::string(problem["message"]),
              HasSubstr(shop.view_path() + ": removed under the worker"));
  std::filesystem::copy(shop.view_path() + ".aside", shop.view_path());
  Order(shop, 2);
  EXPECT_TRUE(Eventually([&] {
    return shop.worker_output().find("view table: the file " + shop.view_path() +
                                     " was removed or replaced") != std::string::npos;
  })) << shop.worker_output();
  std::filesystem::rename(shop.view_path() + ".aside", shop.view_path());
  EXPECT_TRUE(shop.ShowOrder(2)) << shop.worker_output();
  StatusOf(shop, 0);
}

TEST(CdcStatus, AWorkerWhoseEventLogIsRemovedEndsAndNamesIt) {
  CdcShop shop;
  const auto worker = shop.StartWorker();
  Order(shop, 1);
  ASSERT_TRUE(shop.ShowOrder(1));
  const std::string log = shop.stores().folder() + "/events.db";
  std::filesystem::rename(log, log + ".aside");
  Order(shop, 2);
  const auto ended = worker->Wait(SystemClock().Now() + std::chrono::seconds(30));
  ASSERT_TRUE(ended && !ended->by_signal) << shop.worker_output();
  EXPECT_EQ(ended->code, 3);
  EXPECT_THAT(shop.worker_output(), HasSubstr("event log: the file " + log +
                                              " was removed or replaced under the worker"));
  std::filesystem::rename(log + ".aside", log);
  const auto next = shop.StartWorker();
  EXPECT_TRUE(shop.ShowOrder(2)) << shop.worker_output();
}

TEST(CdcStatus, ARedisThatTakesNoWriteIsNamedUntilItDoes) {
  CdcShop shop(kMetricsOnAFreePort);
  const auto worker = shop.StartWorker();
  Order(shop, 1);
  ASSERT_TRUE(shop.ShowOrder(1));
  shop.stores().AskRedis({"CONFIG", "SET", "maxmemory", "1"});
  Json problem = ViewNamed(StatusOf(shop, 3), "cache")["problem"];
  EXPECT_EQ(problem["code"], "refused") << problem;
  EXPECT_THAT(std::string(problem["message"]), HasSubstr("view cache: Redis takes no write"));
  EXPECT_THAT(std::string(problem["message"]), HasSubstr("OOM"));
  EXPECT_EQ(
      Sample(Get(MetricsPort(shop), "/metrics").body, "indoubt_cdc_view_up{view=\"cache\"}"),
      0);
  shop.stores().AskRedis({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_TRUE(ViewNamed(StatusOf(shop, 0), "cache")["problem"].is_null());
}

TEST(CdcStatus, ARedisThatWouldEvictRowsIsRefusedUntilItDoesNot) {
  CdcShop shop;
  shop.stores().AskRedis({"CONFIG", "SET", "maxmemory", "1gb"});
  shop.stores().AskRedis({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  const auto worker = shop.StartWorker();
  Order(shop, 1);
  const Json problem = ViewNamed(StatusOf(shop, 3), "cache")["problem"];
  EXPECT_EQ(problem["code"], "refused") << problem;
  EXPECT_THAT(std::string(problem["message"]), HasSubstr("maxmemory-policy is allkeys-lru"));
  EXPECT_TRUE(Eventually([&] {
    return shop.worker_output().find("CONFIG SET maxmemory-policy noeviction") !=
           std::string::npos;
  })) << shop.worker_output();
  shop.stores().AskRedis({"CONFIG", "SET", "maxmemory-policy", "volatile-lru"});
  EXPECT_TRUE(shop.ShowOrder(1)) << shop.worker_output();
  EXPECT_TRUE(ViewNamed(StatusOf(shop, 0), "cache")["problem"].is_null());
}

TEST(CdcStatus, ASinkThatHangsIsNotTheSourcesFault) {
  CdcShop shop;
  ASSERT_NO_FATAL_FAILURE(LeaveAWorkerBehind(shop));
  const pid_t redis = shop.stores().redis().pid();
  ASSERT_EQ(kill(redis, SIGSTOP), 0);
  const Json status = StatusOf(shop, 3);
  ASSERT_EQ(kill(redis, SIGCONT), 0);
  EXPECT_FALSE(ViewNamed(status, "cache")["problem"].is_null()) << status;
  EXPECT_TRUE(status["source_problem"].is_null()) << status;
  EXPECT_FALSE(status["source"].is_null()) << status;
}

TEST(CdcStatus, ASlotMovedBeyondTheLogsEndIsNamedAsByTheNextStart) {
  CdcShop shop;
  ASSERT_NO_FATAL_FAILURE(LeaveAWorkerBehind(shop));
  StatusOf(shop, 0);
  Order(shop, 2);
  const std::string moved = shop.stores().AskPostgres(
      "SELECT end_lsn FROM pg_replication_slot_advance('indoubt', pg_current_wal_flush_lsn())");
  const Json status = StatusOf(shop, 3);
  EXPECT_EQ(status["source_problem"]["code"], "corrupt") << status;
  const std::string said = status["source_problem"]["message"];
  EXPECT_THAT(said, HasSubstr("\"indoubt\" was moved beyond the event log's end"));
  EXPECT_THAT(said, HasSubstr(" to " + moved + " are missing for good"));
  const Ran start = shop.Cdc({"run"});
  EXPECT_FALSE(start.Exited(0));
  EXPECT_THAT(start.err, HasSubstr(said));
}

TEST(CdcStatus, EveryViewThatAChangeOfShapeHasStoppedIsNamedWithAWorkerAndWithout) {
  CdcShop shop;
  auto worker = shop.StartWorker();
  Order(shop, 1);
  ASSERT_TRUE(shop.ShowOrder(1));
  shop.stores().AskPostgres("ALTER TABLE orders RENAME COLUMN account TO payer");
  Order(shop, 2);
  const std::string words =
      "table public.orders: column \"account\", which the view needs, was renamed to \"payer\"";
  for (const bool with_worker : {true, false}) {
    SCOPED_TRACE(with_worker);
    // The views stop when the event is in the log, which no view tells of.
    EXPECT_TRUE(Eventually([&] { return shop.Cdc({"status", "--sample", "0s"}).Exited(3); }));
    const Json status = StatusOf(shop, 3);
    for (const char* name : {"cache", "table"}) {
      const Json problem = ViewNamed(status, name)["problem"];
      ASSERT_FALSE(problem.is_null()) << status;
      EXPECT_EQ(problem["code"], "unsupported") << problem;
      EXPECT_THAT(problem["message"], HasSubstr(std::string("view ") + name));
      EXPECT_THAT(problem["message"], HasSubstr(words));
      EXPECT_THAT(problem["message"], HasSubstr("rebuild the view"));
    }
    if (!with_worker) break;
    // The worker names both, too, and each once, although it tries again.
    EXPECT_TRUE(Eventually([&] {
      const std::string said = shop.worker_output();
      return said.find("view cache: at") != std::string::npos &&
             said.find("view table: at") != std::string::npos;
    })) << shop.worker_output();
    worker->KillAndWait();
    const std::string said = shop.worker_output();
    const size_t first = said.find("was renamed to");
    const size_t second = said.find("was renamed to", first + 1);
    EXPECT_EQ(said.find("was renamed to", second + 1), std::string::npos) << said;
  }
  for (const char* view : {"cache", "table"}) {
    EXPECT_TRUE(shop.Cdc({"rebuild", view}).Exited(0)) << view;
  }
  EXPECT_TRUE(StatusOf(shop, 0)["views"][0]["problem"].is_null());
}

TEST(CdcWait, BeforeAnyWorkerRanTheVerbsSaySoAndEndAsForAnEnvironment) {
  CdcShop shop;
  for (const std::vector<std::string>& verb :
       {std::vector<std::string>{"wait", "table", "0/1", "--timeout", "10ms"},
        std::vector<std::string>{"rebuild", "table"}, std::vector<std::string>{"audit"}}) {
    const Ran ran = shop.Cdc(verb);
    EXPECT_TRUE(ran.Exited(3)) << verb.front() << ": " << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("no worker has run")) << verb.front();
  }
}

TEST(CdcWait, ARedisThatHangsIsWaitedForNoLongerThanTheVerbIsTold) {
  CdcShop shop;
  ASSERT_NO_FATAL_FAILURE(LeaveAWorkerBehind(shop));
  const pid_t redis = shop.stores().redis().pid();
  ASSERT_EQ(kill(redis, SIGSTOP), 0);
  for (const std::vector<std::string>& verb :
       {std::vector<std::string>{"wait", "cache", "7F/0"},
        std::vector<std::string>{"retry", "cache"},
        std::vector<std::string>{"rebuild", "cache"}}) {
    std::vector<std::string> arguments = verb;
    arguments.insert(arguments.end(), {"--timeout", "1s"});
    const Ran ran = shop.Cdc(arguments);
    EXPECT_TRUE(ran.Exited(3)) << ran.err;
    EXPECT_THAT(ran.err, testing::HasSubstr("no answer within 1 s"));
  }
  ASSERT_EQ(kill(redis, SIGCONT), 0);
}

TEST(CdcWait, AWriteGivesItsLsnAndAViewIsWaitedForByIt) {
  CdcShop shop;
  const auto worker = shop.StartWorker();
  const auto write = [&](int order, const std::string& store, const std::string& table) {
    const Ran ran =
        shop.stores().Indoubt({"exec", "--json", "-c", shop.config_path(), "--on", store,
                               fmt::format("INSERT INTO {} VALUES ({}, 7{})", table, order,
                                           store == "ledger" ? ", 5" : "")});
    EXPECT_TRUE(ran.Exited(0)) << ran.err;
    return Json::parse(ran.out);
  };
  const Json wrote = write(1, "accounts", "orders");
  ASSERT_TRUE(wrote.contains("lsn")) << wrote;
  for (const char* view : {"cache", "table"}) {
    const Ran waited = shop.Cdc({"wait", view, wrote["lsn"], "--timeout", "30s", "--json"});
    EXPECT_TRUE(waited.Exited(0)) << waited.err;
    EXPECT_EQ(Json::parse(waited.out)["reached"], wrote["lsn"]);
  }
  EXPECT_EQ(shop.stores().AskRedis({"HGET", "orders:1", "id"}), "1");
  EXPECT_FALSE(write(2, "ledger", "entries").contains("lsn")) << "the source took no part";
  const Ran late = shop.Cdc({"wait", "cache", "7F/0", "--timeout", "50ms"});
  EXPECT_TRUE(late.Exited(3)) << late.err;
  EXPECT_THAT(late.err, HasSubstr("not yet at 7F/0"));
  EXPECT_TRUE(shop.Cdc({"wait", "cache", "nonsense"}).Exited(2));
  EXPECT_TRUE(shop.Cdc({"wait", "nobody", "0/1"}).Exited(2));
}

TEST(CdcMetrics, AreServedAsPrometheusTextAndMoveWithTheViews) {
  CdcShop shop(kMetricsOnAFreePort);
  const auto worker = shop.StartWorker();
  const std::string port = MetricsPort(shop);
  ASSERT_NE(port, "") << shop.worker_output();
  Order(shop, 1);
  ASSERT_TRUE(shop.ShowOrder(1));
  const std::string applied = "indoubt_cdc_view_applied_events_total{view=\"cache\"}";
  HttpReply reply = Get(port, "/metrics");
  EXPECT_THAT(reply.head, HasSubstr("200 OK"));
  EXPECT_THAT(reply.head, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(reply.body, HasSubstr("# TYPE indoubt_cdc_view_lag_seconds gauge"));
  EXPECT_EQ(Sample(reply.body, "indoubt_cdc_slot_active"), 1);
  EXPECT_EQ(Sample(reply.body, "indoubt_cdc_view_up{view=\"table\"}"), 1);
  const auto first = Sample(reply.body, applied);
  ASSERT_TRUE(first);
  Order(shop, 2);
  EXPECT_TRUE(
      Eventually([&] { return Sample(Get(port, "/metrics").body, applied) == *first + 1; }));
  shop.stores().redis().Kill();
  reply = Get(port, "/metrics");
  EXPECT_EQ(Sample(reply.body, "indoubt_cdc_view_up{view=\"cache\"}"), 0);
  EXPECT_EQ(Sample(reply.body, applied), std::nullopt) << "not known is not 0";
  EXPECT_THAT(Get(port, "/other").head, HasSubstr("404"));
}

TEST(CdcMetrics, AnAddressInUseIsRefusedAtTheStart) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor taken(context, {boost::asio::ip::address_v4::loopback(), 0});
  CdcShop shop(fmt::format("metrics = \"127.0.0.1:{}\"\n", taken.local_endpoint().port()));
  const Ran ran = shop.Cdc({"run"});
  EXPECT_TRUE(ran.Exited(3)) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("cdc.metrics"));
}

}  // namespace
}  // namespace indoubt::testing
