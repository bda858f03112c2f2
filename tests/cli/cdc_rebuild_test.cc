// `indoubt cdc rebuild`, on real stores, from the outside: beside a worker and without, killed
// at each of its steps, after a change of shape, and under readers.
#include <atomic>
#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/file.h"
#include "tests/cli/cdc_shop.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr int kOrders = 500;

/// A shop with orders, all of which both views show, and then damaged views: what only a
/// rebuild can mend.
class CdcRebuildTest : public ::testing::Test {
 protected:
  CdcRebuildTest() : worker_(shop_.StartWorker()) {
    Ask("INSERT INTO orders SELECT n, 7 FROM generate_series(1, " + std::to_string(kOrders) +
        ") n");
    EXPECT_TRUE(shop_.ShowOrder(kOrders)) << shop_.worker_output();
  }

  std::string Ask(const std::string& sql) { return shop_.stores().AskPostgres(sql); }
  /// A plain reader, who tries again when the last one to leave the file cleans up.
  std::string Sqlite(const std::string& sql) {
    std::string said;
    EXPECT_TRUE(Eventually([&] {
      said = shop_.stores().AskSqlite(sql, shop_.view_path());
      return said != "error: database is locked";
    }));
    return said;
  }
  std::string Redis(const std::vector<std::string>& command) {
    return shop_.stores().AskRedis(command);
  }
  void Damage() {
    Sqlite("DELETE FROM orders WHERE id = 7");
    Redis({"DEL", "orders:7"});
    Redis({"HSET", "orders:8", "id", "wrong"});
  }
  void ExpectDamaged() {
    EXPECT_EQ(Sqlite("SELECT count(*) FROM orders WHERE id = 7"), "0");
    EXPECT_EQ(Redis({"EXISTS", "orders:7"}), "0");
  }
  void ExpectMended() {
    EXPECT_EQ(Sqlite("SELECT count(*) FROM orders"), Ask("SELECT count(*) FROM orders"));
    EXPECT_EQ(Sqlite("SELECT count(*) FROM orders WHERE id = 7"), "1");
    EXPECT_EQ(Redis({"HGET", "orders:7", "id"}), "7");
    EXPECT_EQ(Redis({"HGET", "orders:8", "id"}), "8");
  }
  Json Rebuild(const std::string& view) {
    const Ran ran = shop_.Cdc({"rebuild", view, "--json"});
    EXPECT_TRUE(ran.Exited(0)) << ran.out << ran.err;
    return ran.Exited(0) ? Json::parse(ran.out) : Json::object({{"equal", nullptr}});
  }
  Ran RebuildWith(const std::string& view, const std::string& fail_point) {
    return shop_.stores().Indoubt({"cdc", "rebuild", view, "-c", shop_.config_path()},
                                  {{"INDOUBT_FAILPOINT", fail_point}});
  }

  CdcShop shop_;
  std::unique_ptr<Process> worker_;
};

TEST_F(CdcRebuildTest, ATokenOfAnIdleSourceIsReachedAfterTheFirstCopyAndARebuild) {
  CdcShop idle;
  idle.stores().AskPostgres("INSERT INTO orders SELECT n, 7 FROM generate_series(1, 10) n");
  const auto worker = idle.StartWorker();
  const auto reached = [&](const char* view) {
    const std::string token = idle.stores().AskPostgres("SELECT pg_current_wal_flush_lsn()");
    return idle.Cdc({"wait", view, token, "--timeout", "20s"}).Exited(0);
  };
  for (const char* view : {"cache", "table"}) {
    EXPECT_TRUE(reached(view)) << view;
    EXPECT_TRUE(idle.Cdc({"rebuild", view}).Exited(0)) << view;
    EXPECT_TRUE(reached(view)) << view << ", rebuilt";
  }
}

TEST_F(CdcRebuildTest, MendsADamagedViewBesideAWorkerAndWithout) {
  for (const bool beside : {true, false}) {
    if (!beside) worker_->KillAndWait();
    Damage();
    for (const char* view : {"cache", "table"}) {
      const Json report = Rebuild(view);
      EXPECT_EQ(report["equal"], true) << report;
      EXPECT_EQ(report["derived_from"], "log") << report;
      EXPECT_EQ(report["rows"].get<int64_t>(),
                std::stoll(Ask("SELECT (SELECT count(*) FROM orders) + "
                               "(SELECT count(*) FROM account)")));
      EXPECT_EQ(report["entries"], report["rows"]) << report;
      EXPECT_THAT(report["proved_at"], HasSubstr("0/"));
    }
    ExpectMended();
  }
  worker_ = shop_.StartWorker();
  Ask("INSERT INTO orders VALUES (9001, 7)");
  EXPECT_TRUE(shop_.ShowOrder(9001)) << shop_.worker_output();
  EXPECT_TRUE(shop_.Cdc({"rebuild", "nonsense"}).Exited(2));
}

TEST_F(CdcRebuildTest, WhoRebuildsTheViewAlreadyIsNamed) {
  // As another rebuild holds it.
  const std::string path = shop_.stores().folder() + "/events.db.rebuild-table.lock";
  const auto lock = PosixFileSystem().Lock(path);
  ASSERT_TRUE(lock) << lock.error().ToString();
  const Ran second = shop_.Cdc({"rebuild", "table"});
  EXPECT_TRUE(second.Exited(3)) << second.err;
  EXPECT_THAT(second.err, HasSubstr("is held by process " + std::to_string(getpid())));
}

TEST(CdcRebuildMerged, RowsThatAreEqualInAllValuesAreNotCountedAsShown) {
  CdcShop shop;
  shop.stores().AskPostgres(
      "ALTER TABLE orders DROP CONSTRAINT orders_pkey; ALTER TABLE orders ALTER id DROP NOT "
      "NULL; "
      "ALTER TABLE orders REPLICA IDENTITY FULL; INSERT INTO orders VALUES (1, 7), (1, 7), (2, "
      "7)");
  const auto worker = shop.StartWorker();
  for (const char* view : {"cache", "table"}) {
    const Ran ran = shop.Cdc({"rebuild", view, "--json"});
    ASSERT_TRUE(ran.Exited(0)) << ran.out << ran.err;
    const Json report = Json::parse(ran.out);
    EXPECT_EQ(report["merged"], 1) << report;
    EXPECT_EQ(report["entries"].get<int>() + 1, report["rows"].get<int>()) << report;
    EXPECT_THAT(shop.Cdc({"rebuild", view}).out,
                HasSubstr("equal but for 1 rows that have no"));
  }
}

TEST(CdcRebuildSearch, MendsRowsAndIndexBesideAWorkerKilledBeforeAndAfterAChangeOfShape) {
  CdcShop shop(
      "[participants.index]\nkind = \"sqlite\"\npath = \"found.db\"\ntables = [\"orders\"]\n"
      "[views.found]\nkind = \"search\"\nsink = \"index\"\ncolumns = [\"orders.note\"]\n");
  const std::string path = shop.stores().folder() + "/found.db";
  const auto source = [&](const std::string& sql) { return shop.stores().AskPostgres(sql); };
  const auto found = [&](const std::string& words) {
    return shop.stores().AskSqlite(
        "SELECT count(*) FROM orders_search WHERE orders_search MATCH '" + words + "'", path);
  };
  source("ALTER TABLE orders ADD note text");
  const auto worker = shop.StartWorker();
  source("INSERT INTO orders VALUES (1, 7, 'blue bicycle'), (2, 7, 'red bicycle')");
  ASSERT_TRUE(Eventually([&] { return found("bicycle") == "2"; })) << shop.worker_output();
  // The row goes, and the index is left with words that no row has.
  shop.stores().AskSqlite("DROP TRIGGER orders_search_delete; DELETE FROM orders WHERE id = 1",
                          path);
  const Ran killed =
      shop.stores().Indoubt({"cdc", "rebuild", "found", "-c", shop.config_path()},
                            {{"INDOUBT_FAILPOINT", "cdc_rebuild_swapping=kill"}});
  ASSERT_TRUE(killed.DiedOf(SIGKILL)) << killed.err;
  const auto rebuild = [&] {
    const Ran ran = shop.Cdc({"rebuild", "found", "--json"});
    EXPECT_TRUE(ran.Exited(0)) << ran.out << ran.err;
    EXPECT_EQ(Json::parse(ran.out)["equal"], true) << ran.out;
  };
  rebuild();
  EXPECT_EQ(found("bicycle"), "2");
  EXPECT_EQ(shop.stores().AskSqlite("SELECT count(*) FROM orders WHERE id = 1", path), "1");
  source("DELETE FROM orders WHERE id = 1");
  EXPECT_TRUE(Eventually([&] { return found("blue") == "0" && found("red") == "1"; }));
  source("ALTER TABLE orders RENAME COLUMN account TO payer");
  source("INSERT INTO orders VALUES (3, 7, 'green bicycle')");
  rebuild();
  EXPECT_TRUE(Eventually([&] { return found("bicycle") == "2"; }));
  source("UPDATE orders SET note = 'green tricycle' WHERE id = 3");
  EXPECT_TRUE(Eventually([&] { return found("bicycle") == "1" && found("tricycle") == "1"; }));
}

TEST_F(CdcRebuildTest, KilledAtAnyStepItLeavesTheOldVersionAndCanBeRunAgain) {
  for (const char* view : {"cache", "table"}) {
    Damage();
    for (const char* point : {"cdc_rebuild_begun", "cdc_rebuild_derived", "cdc_rebuild_proved",
                              "cdc_rebuild_swapping"}) {
      SCOPED_TRACE(point);
      const Ran killed = RebuildWith(view, std::string(point) + "=kill");
      ASSERT_TRUE(killed.DiedOf(SIGKILL)) << killed.err;
      ExpectDamaged();
    }
    const Ran killed = RebuildWith(view, "cdc_rebuild_swap=kill");
    ASSERT_TRUE(killed.DiedOf(SIGKILL)) << killed.err;
    Rebuild(view == std::string("cache") ? "table" : "cache");
    ExpectMended();
    Rebuild(view);  // over what the killed one left
    ExpectMended();
  }
  EXPECT_EQ(Redis({"EVAL",
                   "local n = 0; for d = 1, 15 do redis.call('SELECT', d); "
                   "n = n + redis.call('DBSIZE') end; return n",
                   "0"}),
            "0");
}

TEST_F(CdcRebuildTest, WhatTheDerivationRefusesInTheLogIsNotGoneThroughAgain) {
  Ask("TRUNCATE orders");
  Ask("INSERT INTO orders VALUES (9003, 7)");
  const Json report = Rebuild("cache");
  EXPECT_EQ(report["derived_from"], "snapshot") << report;
  EXPECT_EQ(report["equal"], true) << report;
  EXPECT_EQ(Redis({"EXISTS", "orders:7"}), "0");
  EXPECT_EQ(Redis({"HGET", "orders:9003", "id"}), "9003");
  Ask("INSERT INTO orders VALUES (9004, 7)");
  EXPECT_TRUE(shop_.ShowOrder(9004)) << shop_.worker_output();  // the worker has noticed
}

TEST_F(CdcRebuildTest, BringsAViewBackThatAChangeOfShapeHasStopped) {
  Ask("ALTER TABLE orders RENAME COLUMN account TO payer");
  Ask("INSERT INTO orders VALUES (9002, 7)");
  for (const char* view : {"cache", "table"}) {
    const Json report = Rebuild(view);
    EXPECT_EQ(report["derived_from"], "snapshot") << report;
    EXPECT_EQ(report["equal"], true) << report;
  }
  Ask("INSERT INTO orders VALUES (9003, 7)");
  EXPECT_TRUE(shop_.ShowOrder(9003)) << shop_.worker_output();
  EXPECT_EQ(Sqlite("SELECT count(*) FROM orders WHERE payer = 7"),
            Ask("SELECT count(*) FROM orders WHERE payer = 7"));
  EXPECT_EQ(Redis({"HGET", "orders:7", "payer"}), "7");
  EXPECT_EQ(Redis({"HEXISTS", "orders:7", "account"}), "0");
}

TEST_F(CdcRebuildTest, ReadersUnderLoadNeverSeeAnEmptyOrMixedView) {
  std::atomic<bool> done{false};
  std::atomic<int64_t> reads{0};
  std::atomic<int64_t> wrong{0};
  std::string last_wrong;  // the reader's until it is joined
  // Each transaction gives the same four rows one value, so that a mixed view shows.
  std::thread writer([&] {
    Stores& stores = shop_.stores();
    for (int n = 0; !done; ++n) {
      stores.AskPostgres("UPDATE orders SET account = " + std::to_string(n % 9 + 1) +
                         " WHERE id IN (1, 2, 3, 4)");
    }
  });
  std::thread reader([&] {
    Stores& stores = shop_.stores();
    const std::string script =
        "local first = redis.call('HGET', 'orders:1', 'account'); for id = 1, 500 do local v = "
        "redis.call('HGET', 'orders:' .. id, 'account'); if not v or (id < 5 and v ~= first) "
        "then return 'wrong' end end; return 'fine'";
    while (!done) {
      const std::string sqlite = Sqlite(
          "SELECT count(*) || ' ' || count(DISTINCT CASE WHEN id < 5 THEN account END) FROM "
          "orders");
      const std::string redis = stores.AskRedis({"EVAL", script, "0"});
      if (sqlite != "500 1" || redis != "fine") {
        ++wrong;
        last_wrong = sqlite + ", " + redis;
      }
      ++reads;
    }
  });
  for (int round = 0; round < (std::getenv("INDOUBT_LONG") != nullptr ? 20 : 1); ++round) {
    for (const char* view : {"cache", "table"}) {
      const int64_t before = reads;
      EXPECT_EQ(Rebuild(view)["equal"], true);
      EXPECT_TRUE(Eventually([&] { return reads > before; }));
    }
  }
  done = true;
  writer.join();
  reader.join();
  EXPECT_EQ(wrong, 0) << "of " << reads << " reads, the last: " << last_wrong;
  EXPECT_GE(reads, 2);
}

}  // namespace
}  // namespace indoubt::testing
