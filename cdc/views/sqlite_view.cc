#include "cdc/views/sqlite_view.h"

#include <map>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include "cdc/row_turns.h"
#include "cdc/sqlite_handle.h"
#include "cdc/views/call_derivation.h"
#include "cdc/views/parked.h"
#include "cdc/views/row_mirror.h"
#include "cdc/views/search_index.h"
#include "cdc/views/sqlite_table.h"

namespace indoubt {
namespace {

using cdc_internal::QuotedName;
using cdc_internal::RowMirror;
using cdc_internal::SqliteDatabase;
using cdc_internal::SqliteQuery;
using cdc_internal::SqliteTransaction;

constexpr char kOwnTables[] =
    "CREATE TABLE IF NOT EXISTS indoubt_cdc_position("
    "view TEXT PRIMARY KEY, position TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS indoubt_cdc_tables("
    "view TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY(view, name));"
    "CREATE TABLE IF NOT EXISTS indoubt_cdc_parked("
    "view TEXT NOT NULL, lsn INTEGER NOT NULL, ordinal INTEGER NOT NULL, record BLOB NOT NULL, "
    "PRIMARY KEY(view, lsn, ordinal));"
    "CREATE TABLE IF NOT EXISTS indoubt_cdc_retry(view TEXT PRIMARY KEY)";

Result<ViewPosition> ReadPosition(SqliteDatabase& db, const std::string& view) {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery query,
      db.Prepare("SELECT position FROM indoubt_cdc_position WHERE view = ?1"));
  query.BindText(1, view);
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
  return ViewPosition::Parse(found ? query.Bytes(0) : "");
}

Result<std::vector<ParkedEvent>> ReadParked(SqliteDatabase& db, const std::string& view) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db.Prepare("SELECT record FROM indoubt_cdc_parked WHERE view = ?1 "
                                      "ORDER BY lsn, ordinal"));
  query.BindText(1, view);
  std::vector<ParkedEvent> parked;
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, query.Next());
    if (!more) return parked;
    INDOUBT_ASSIGN_OR_RETURN(parked.emplace_back(), cdc_internal::ParseParked(query.Bytes(0)));
  }
}

Result<bool> IsAsked(SqliteDatabase& db, const std::string& view) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db.Prepare("SELECT 1 FROM indoubt_cdc_retry WHERE view = ?1"));
  query.BindText(1, view);
  return query.Next();
}

// The tables that `setup` makes.
Result<std::vector<std::string>> TablesOf(const std::string& setup) {
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(":memory:", SqliteDatabase::Mode::kMemory));
  INDOUBT_RETURN_IF_ERROR(db->Execute(setup));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db->Prepare("SELECT name FROM sqlite_master WHERE type = 'table' "
                                       "AND name NOT LIKE 'sqlite_%'"));
  return query.Strings();
}

class SqliteView : public View {
 public:
  explicit SqliteView(ViewOptions options) : options_(std::move(options)) {}

  const std::string& name() const override { return options_.name; }

  Result<ViewPosition> Open() override {
    transaction_.reset();
    mirror_.Forget();
    shapes_.clear();
    // Beside a journal of the old one's, a new file would not be a whole one.
    if (db_) INDOUBT_RETURN_IF_ERROR(CheckPlace());
    // Before the old one goes: the last to leave the file locks readers out for a moment.
    auto opened = SqliteDatabase::Open(options_.sink, SqliteDatabase::Mode::kDurableWriter);
    db_.reset();
    INDOUBT_ASSIGN_OR_RETURN(db_, std::move(opened));
    // So that a row that is replaced fires the index' trigger for what is deleted.
    if (searched()) INDOUBT_RETURN_IF_ERROR(db_->Execute("PRAGMA recursive_triggers=ON"));
    INDOUBT_RETURN_IF_ERROR(db_->Execute(kOwnTables));
    INDOUBT_RETURN_IF_ERROR(db_->Execute(options_.derivation.sqlite_setup));
    INDOUBT_ASSIGN_OR_RETURN(expected_, ReadPosition(*db_, options_.name));
    return expected_;
  }

  Status Apply(const std::vector<LoggedEvent>& events, const ViewPosition& to) override {
    Status status = Begin();
    if (status.ok()) status = Add(events);
    if (status.ok()) status = Commit(to);
    if (!status.ok()) transaction_.reset();
    return status;
  }

  Status Begin() override {
    if (!db_) return Status(StatusCode::kInternal, "the view is not open");
    INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
    transaction_.emplace(std::move(transaction));
    return Status::Ok();
  }

  Status Add(const std::vector<LoggedEvent>& events) override {
    cdc_internal::RowTurns turns;
    for (const LoggedEvent& event : events) {
      turns.Count(*event.transaction);
      INDOUBT_RETURN_IF_ERROR(AddOne(event));
    }
    return Status::Ok();
  }

  Status Commit(const ViewPosition& to) override {
    INDOUBT_RETURN_IF_ERROR(MovePosition(to));
    INDOUBT_RETURN_IF_ERROR(transaction_->Commit());
    transaction_.reset();
    expected_ = to;
    return Status::Ok();
  }

  Result<std::vector<ParkedEvent>> Parked() override { return ReadParked(*db_, options_.name); }

  Status Park(const ParkedEvent& event, const ViewPosition& to) override {
    INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
    INDOUBT_RETURN_IF_ERROR(MovePosition(to));
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery * query,
        db_->Cached("INSERT OR REPLACE INTO indoubt_cdc_parked VALUES (?1, ?2, ?3, ?4)"));
    query->BindText(1, options_.name);
    query->Bind(2, event.position.lsn.value);
    query->Bind(3, event.position.ordinal);
    query->BindBlob(4, cdc_internal::Serialize(event));
    INDOUBT_RETURN_IF_ERROR(query->Run());
    INDOUBT_RETURN_IF_ERROR(transaction.Commit());
    expected_ = to;
    return Status::Ok();
  }

  Status ApplyParked(const LoggedEvent& event) override {
    INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
    INDOUBT_RETURN_IF_ERROR(MovePosition(expected_));
    INDOUBT_RETURN_IF_ERROR(AddOne(event));
    INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                             db_->Cached("DELETE FROM indoubt_cdc_parked WHERE view = ?1 AND "
                                         "lsn = ?2 AND ordinal = ?3"));
    query->BindText(1, options_.name);
    query->Bind(2, event.position.lsn.value);
    query->Bind(3, event.position.ordinal);
    INDOUBT_RETURN_IF_ERROR(query->Run());
    return transaction.Commit();
  }

  Result<bool> RetryAsked() override { return IsAsked(*db_, options_.name); }

  Status EndRetry() override { return DeleteOwn("indoubt_cdc_retry"); }

  Status Clear(const std::vector<std::string>&, const ViewPosition& to) override {
    if (!db_) return Status(StatusCode::kInternal, "the view is not open");
    INDOUBT_ASSIGN_OR_RETURN(const auto kept, TablesOf(options_.derivation.sqlite_setup));
    INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
    INDOUBT_RETURN_IF_ERROR(MovePosition(to));
    for (const std::string& table : kept) {
      INDOUBT_RETURN_IF_ERROR(db_->Execute("DELETE FROM " + QuotedName(table)));
    }
    INDOUBT_RETURN_IF_ERROR(DropFollowed());
    INDOUBT_RETURN_IF_ERROR(DeleteOwn("indoubt_cdc_parked"));
    INDOUBT_RETURN_IF_ERROR(DeleteOwn("indoubt_cdc_retry"));
    INDOUBT_RETURN_IF_ERROR(transaction.Commit());
    shapes_.clear();
    mirror_.Forget();
    expected_ = to;
    return Status::Ok();
  }

 private:
  // Whether each table that follows the source's has a full-text index.
  bool searched() const { return options_.kind == ViewKind::kSearch; }

  Status AddOne(const LoggedEvent& event) {
    if (options_.derivation.sqlite_mirrors && RowMirror::Takes(*event.transaction)) {
      return mirror_.Put(*db_, event, [this](const events::Relation& shape) {
        return FollowShape(ToSourceRelation(shape));
      });
    }
    return ForEachRowChange(event,
                            [this](const RowChange& change) { return ApplyChange(change); });
  }

  // The tables that the source's own made.
  Status DropFollowed() {
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery query, db_->Prepare("SELECT name FROM indoubt_cdc_tables WHERE view = ?1"));
    query.BindText(1, options_.name);
    INDOUBT_ASSIGN_OR_RETURN(const auto followed, query.Strings());
    for (const std::string& table : followed) {
      if (searched()) INDOUBT_RETURN_IF_ERROR(cdc_internal::DropSearchIndex(*db_, table));
      INDOUBT_RETURN_IF_ERROR(db_->Execute("DROP TABLE IF EXISTS " + QuotedName(table)));
    }
    return DeleteOwn("indoubt_cdc_tables");
  }

  // This view's rows of one of the tables of kOwnTables.
  Status DeleteOwn(const std::string& table) {
    INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                             db_->Cached("DELETE FROM " + table + " WHERE view = ?1"));
    query->BindText(1, options_.name);
    return query->Run();
  }

  Status CheckPlace() const {
    const Status placed = db_->CheckPlace();
    if (placed.ok()) return placed;
    return Status(placed.code(),
                  fmt::format("{}; the view is stopped: put that file back, or take its -wal "
                              "and -shm away, too, and start the worker again, which derives "
                              "a view anew whose file is not there",
                              placed.message()));
  }

  Status MovePosition(const ViewPosition& to) {
    INDOUBT_RETURN_IF_ERROR(CheckPlace());
    const bool first = expected_.log_id.empty();
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery * query,
        db_->Cached(first ? "INSERT OR IGNORE INTO indoubt_cdc_position VALUES (?1, ?2)"
                          : "UPDATE indoubt_cdc_position SET position = ?2 "
                            "WHERE view = ?1 AND position = ?3"));
    query->BindText(1, options_.name);
    query->BindText(2, to.ToString());
    if (!first) query->BindText(3, expected_.ToString());
    INDOUBT_RETURN_IF_ERROR(query->Run());
    if (db_->Changes() == 1) return Status::Ok();
    return Status(StatusCode::kAborted,
                  "the view's position was moved: by a rebuild, or by a second worker, of "
                  "which there may be none");
  }

  /// Refuses a table of that name that this view has not made: its rows are somebody's.
  Status CheckOwn(const std::string& table) {
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery query,
        db_->Prepare("SELECT (SELECT max(view) FROM indoubt_cdc_tables WHERE name = m.name "
                     "COLLATE NOCASE AND view <> ?2) FROM sqlite_master AS m WHERE m.name = ?1 "
                     "COLLATE NOCASE AND NOT EXISTS (SELECT 1 FROM indoubt_cdc_tables WHERE "
                     "view = ?2 AND name = m.name COLLATE NOCASE)"));
    query.BindText(1, table);
    query.BindText(2, options_.name);
    INDOUBT_ASSIGN_OR_RETURN(const bool there, query.Next());
    if (!there) return Status::Ok();
    const std::string other = query.Bytes(0);
    return Status(
        StatusCode::kRefused,
        fmt::format("SQLite {} has a table {} that {}; give the view a file of its own, or "
                    "rename that table",
                    db_->path(), table,
                    other.empty() ? "this view has not made" : "view " + other + " has made"));
  }

  /// Brings the sink's table up to the shape that this change has.
  Status FollowShape(const SourceRelation& relation) {
    if (!options_.derivation.sqlite_table) return Status::Ok();
    const auto known = shapes_.find(relation.oid);
    if (known != shapes_.end() && known->second == relation) return Status::Ok();
    const SqlTable table = options_.derivation.sqlite_table(relation);
    INDOUBT_RETURN_IF_ERROR(CheckOwn(table.name));
    INDOUBT_RETURN_IF_ERROR(cdc_internal::FollowTable(*db_, table, searched()));
    if (searched()) {
      INDOUBT_ASSIGN_OR_RETURN(const auto columns,
                               cdc_internal::SearchedColumns(table, options_.search_columns));
      INDOUBT_RETURN_IF_ERROR(cdc_internal::FollowSearchIndex(*db_, table.name, columns));
    }
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery * own,
        db_->Cached("INSERT OR IGNORE INTO indoubt_cdc_tables VALUES (?1, ?2)"));
    own->BindText(1, options_.name);
    own->BindText(2, table.name);
    INDOUBT_RETURN_IF_ERROR(own->Run());
    shapes_.insert_or_assign(relation.oid, relation);
    return Status::Ok();
  }

  Status ApplyChange(const RowChange& change) {
    INDOUBT_RETURN_IF_ERROR(FollowShape(*change.relation));
    INDOUBT_ASSIGN_OR_RETURN(const auto statements,
                             cdc_internal::CallDerivation(options_.derivation.sqlite, change));
    for (const SqlStatement& statement : statements) {
      INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query, db_->Cached(statement.text));
      if (static_cast<int>(statement.params.size()) != query->parameters()) {
        return Status(StatusCode::kInvalidArgument,
                      fmt::format("\"{}\" takes {} parameters, the derivation gave {}",
                                  statement.text.substr(0, 120), query->parameters(),
                                  statement.params.size()));
      }
      int index = 0;
      for (const Value& value : statement.params) {
        INDOUBT_RETURN_IF_ERROR(query->BindValue(++index, value));
      }
      INDOUBT_RETURN_IF_ERROR(query->Run());
    }
    return Status::Ok();
  }

  const ViewOptions options_;
  std::unique_ptr<SqliteDatabase> db_;
  RowMirror mirror_;  // after db_: goes first, as does
  std::optional<SqliteTransaction> transaction_;
  ViewPosition expected_;
  // What the sink's tables are known to fit, by the source table's oid. A failed Apply is
  // followed by Open, which forgets what was rolled back.
  std::map<uint32_t, SourceRelation> shapes_;
};

// Nothing when no worker of a version that parks has opened the file.
Result<std::unique_ptr<SqliteDatabase>> OpenIfUsed(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return std::unique_ptr<SqliteDatabase>();
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(path, SqliteDatabase::Mode::kReadOnly));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery table,
                           db->Prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND "
                                       "name = 'indoubt_cdc_retry'"));
  INDOUBT_ASSIGN_OR_RETURN(const bool found, table.Next());
  table.Reset();
  if (!found) return std::unique_ptr<SqliteDatabase>();
  return db;
}

}  // namespace

Result<std::unique_ptr<View>> MakeSqliteView(const ViewOptions& options) {
  if (options.sink.empty() || !options.derivation.sqlite) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("view {}: a SQLite view needs the path of a file and a "
                              "derivation for SQLite",
                              options.name));
  }
  return std::unique_ptr<View>(std::make_unique<SqliteView>(options));
}

Result<ViewPosition> ReadSqlitePosition(const ViewOptions& options) {
  if (access(options.sink.c_str(), F_OK) != 0) return ViewPosition{};
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(options.sink, SqliteDatabase::Mode::kReadOnly));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery table,
                           db->Prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND "
                                       "name = 'indoubt_cdc_position'"));
  INDOUBT_ASSIGN_OR_RETURN(const bool found, table.Next());
  if (!found) return ViewPosition{};
  return ReadPosition(*db, options.name);
}

Result<std::vector<ParkedEvent>> ReadSqliteParked(const ViewOptions& options) {
  INDOUBT_ASSIGN_OR_RETURN(auto db, OpenIfUsed(options.sink));
  if (!db) return std::vector<ParkedEvent>{};
  return ReadParked(*db, options.name);
}

Status AskSqliteRetry(const ViewOptions& options) {
  INDOUBT_ASSIGN_OR_RETURN(
      auto db, SqliteDatabase::Open(options.sink, SqliteDatabase::Mode::kDurableWriter));
  INDOUBT_RETURN_IF_ERROR(db->Execute(kOwnTables));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db->Prepare("INSERT OR IGNORE INTO indoubt_cdc_retry VALUES (?1)"));
  query.BindText(1, options.name);
  return query.Run();
}

Result<bool> SqliteRetryIsAsked(const ViewOptions& options) {
  INDOUBT_ASSIGN_OR_RETURN(auto db, OpenIfUsed(options.sink));
  if (!db) return false;
  return IsAsked(*db, options.name);
}

}  // namespace indoubt
