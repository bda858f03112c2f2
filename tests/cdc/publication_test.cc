// The publication at the source: what is altered about it is found out, put back or not.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cdc/log/sqlite_event_log.h"
#include "tests/cdc/fixture.h"

namespace indoubt {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CdcPublication : public CdcFixture {
 protected:
  void SetUp() override {
    CdcFixture::SetUp();
    Client().Run("CREATE SCHEMA apart; CREATE TABLE apart.other(id bigint PRIMARY KEY)");
  }
  /// A worker that has streamed one transaction to the views.
  std::unique_ptr<CdcWorker> Streaming() {
    auto worker = CdcWorker::Start(Options());
    EXPECT_TRUE(worker) << worker.error().ToString();
    if (!worker) return nullptr;
    Client().Run("INSERT INTO moves(item, amount) VALUES ('a', 1)");
    ExpectViewsEqualSource();
    return std::move(*worker);
  }
  void DropAndAddTheTable() const {
    Client().Run("ALTER PUBLICATION indoubt DROP TABLE moves");
    Client().Run("ALTER PUBLICATION indoubt ADD TABLE moves");
  }
  void ExpectStarts() { EXPECT_TRUE(Streaming()); }
  void ExpectStartRefused(const std::string& done) {
    const auto worker = CdcWorker::Start(Options());
    ASSERT_FALSE(worker) << "it would go on with a hole";
    EXPECT_EQ(worker.error().code(), StatusCode::kRefused);
    EXPECT_THAT(worker.error().message(),
                AllOf(HasSubstr(done), HasSubstr("name another slot and event log")));
  }
  /// Until the worker has looked at the publication as it is now: a look that began after this
  /// call has ended.
  void AwaitLook() {
    // Of the look's last question.
    const auto asked = [this] {
      return Client().Run(
          "SELECT max(query_start) FROM pg_stat_activity WHERE application_name = "
          "'indoubt-cdc' "
          "AND query LIKE '%pg_publication_namespace%' AND pid <> pg_backend_pid() "
          "AND state = 'idle'");
    };
    std::string before = asked();
    for (int look = 0; look < 2; ++look) {  // the first may have begun before
      std::string now;
      EXPECT_TRUE(Eventually([&] {
        now = asked();
        return !now.empty() && now != before;
      }));
      before = now;
    }
  }
};

struct Alteration {
  const char* name;
  const char* alter;
  const char* publishes;  // then, while a worker runs
  const char* put_back;
  const char* done;  // what is said of both; empty: nothing of ours was left out
};

class CdcAlteration : public CdcPublication, public testing::WithParamInterface<Alteration> {};

TEST_P(CdcAlteration, UnderAWorkerEndsTheSourceWithWhatIsPublishedNow) {
  const auto worker = Streaming();
  ASSERT_TRUE(worker);
  Client().Run(GetParam().alter);
  EXPECT_TRUE(Eventually([&] { return worker->source_lost(); }));
  const Status health = worker->health();
  EXPECT_EQ(health.code(), StatusCode::kRefused) << health.ToString();
  EXPECT_THAT(health.message(),
              AllOf(HasSubstr("altered while the worker ran"),
                    HasSubstr(std::string("publishes ") + GetParam().publishes)));
}

TEST_P(CdcAlteration, PutBackWithoutAWorkerTheNextStartIsRefused) {
  Streaming().reset();
  Client().Run(GetParam().alter);
  Client().Run("INSERT INTO moves(item, amount) VALUES ('b', 2)");
  Client().Run(GetParam().put_back);
  *GetParam().done == '\0' ? ExpectStarts() : ExpectStartRefused(GetParam().done);
}

TEST_P(CdcAlteration, PutBackBetweenTwoLooksEndsTheSource) {
  const auto worker = Streaming();
  ASSERT_TRUE(worker);
  // Both at once, as the watch sees it.
  Client().Run(fmt::format("BEGIN; {}; {}; COMMIT", GetParam().alter, GetParam().put_back));
  if (*GetParam().done == '\0') {
    AwaitLook();
    EXPECT_TRUE(worker->health().ok()) << worker->health().ToString();
    return;
  }
  EXPECT_TRUE(Eventually([&] { return worker->source_lost(); }));
  EXPECT_THAT(worker->health().message(), HasSubstr(GetParam().done));
}

INSTANTIATE_TEST_SUITE_P(
    Of, CdcAlteration,
    testing::Values(
        Alteration{"ATableAdded", "ALTER PUBLICATION indoubt ADD TABLE apart.other",
                   "{apart.other, public.moves}", "ALTER PUBLICATION indoubt SET TABLE moves",
                   ""},
        Alteration{"ATableDropped", "ALTER PUBLICATION indoubt DROP TABLE moves", "{}",
                   "ALTER PUBLICATION indoubt ADD TABLE moves",
                   "table public.moves was taken out or narrowed"},
        Alteration{
            "ATableThenInItsSchema", "ALTER PUBLICATION indoubt DROP TABLE moves", "{}",
            "DROP TABLE elsewhere; ALTER PUBLICATION indoubt ADD TABLES IN SCHEMA public",
            "table public.moves was taken out or narrowed"},
        Alteration{"SomeRows", "ALTER PUBLICATION indoubt SET TABLE moves WHERE (id > 3)",
                   "{public.moves (only some rows)}",
                   "ALTER PUBLICATION indoubt SET TABLE moves",
                   "table public.moves was taken out or narrowed"},
        Alteration{
            "OnlyInserts", "ALTER PUBLICATION indoubt SET (publish = 'insert')",
            "{public.moves}",
            "ALTER PUBLICATION indoubt SET (publish = 'insert, update, delete, truncate')",
            "its options, name or owner were altered"}),
    [](const auto& one) { return one.param.name; });

TEST_F(CdcPublication, ThatListsColumnsIsRefused) {
  Client().Run("CREATE PUBLICATION indoubt FOR TABLE moves (id, item)");
  const auto worker = CdcWorker::Start(Options());
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().code(), StatusCode::kRefused);
  EXPECT_THAT(worker.error().message(), HasSubstr("public.moves (only listed columns)"));
}

TEST_F(CdcPublication, ThatWasDroppedIsNotMadeAnewBehindTheLogsBack) {
  Streaming().reset();
  Client().Run("DROP PUBLICATION indoubt");
  ExpectStartRefused("is gone");
  EXPECT_EQ(Client().Run("SELECT count(*) FROM pg_publication"), "0");
  Client().Run("CREATE PUBLICATION indoubt FOR TABLE moves");
  ExpectStartRefused("it was dropped and made anew;");
}

TEST_F(CdcPublication, WithANewOwnerIsTheSameAndIsWatchedOn) {
  Streaming().reset();
  Client().Run("CREATE ROLE keeper SUPERUSER; ALTER PUBLICATION indoubt OWNER TO keeper");
  ExpectStarts();
  Client().Run("ALTER PUBLICATION indoubt SET (publish = 'insert')");
  Client().Run("ALTER PUBLICATION indoubt SET (publish = 'insert, update, delete, truncate')");
  ExpectStartRefused("its options, name or owner were altered");
}

TEST_F(CdcPublication, OfALogThatDoesNotKnowItIsTrustedOnceAndKeptFromThenOn) {
  Streaming().reset();
  {
    const auto log = OpenSqliteEventLog(event_log_path_);
    ASSERT_TRUE(log) << log.error().ToString();
    auto progress = (*log)->ReadSnapshotProgress();
    ASSERT_TRUE(progress && *progress);
    ASSERT_TRUE((*progress)->has_publication());
    (*progress)->clear_publication();
    ASSERT_TRUE((*log)->AmendSnapshotProgress(**progress).ok());
  }
  DropAndAddTheTable();
  ExpectStarts();
  DropAndAddTheTable();
  ExpectStartRefused("table public.moves was taken out or narrowed");
}

TEST_F(CdcPublication, IsNotAlteredByATableThatIsRenamedNorByOneThatIsDropped) {
  Client().Run("CREATE TABLE gone(id bigint PRIMARY KEY)");
  CdcOptions options = Options();
  options.tables.emplace_back("gone");
  const auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  Client().Run("DROP TABLE gone; ALTER TABLE moves RENAME TO moved");
  AwaitLook();
  // Had that been an alteration, the source had ended for it, and said so.
  Client().Run("ALTER PUBLICATION indoubt ADD TABLE apart.other");
  EXPECT_TRUE(Eventually([&] { return (*worker)->source_lost(); }));
  EXPECT_THAT((*worker)->status().source_health.message(),
              HasSubstr("publishes {apart.other, public.moved}, not all changes of "
                        "{public.moved}"));
}

}  // namespace
}  // namespace indoubt
