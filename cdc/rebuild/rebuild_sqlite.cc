// Both versions are SQLite files of their own; the swap copies the new one's tables over the
// old one's in one SQLite transaction, which readers see whole or not at all.
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/failpoint.h"
#include "cdc/rebuild/rebuild_sink.h"
#include "cdc/sqlite_handle.h"
#include "cdc/views/make_view.h"
#include "cdc/views/search_index.h"
#include "cdc/views/sqlite_table.h"

namespace indoubt::cdc_internal {
namespace {

constexpr size_t kMaxShown = 5;

// The derived tables of the attached database `schema`.
Result<std::vector<std::string>> DerivedTables(SqliteDatabase& db, const std::string& schema) {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery query,
      db.Prepare(fmt::format("SELECT name FROM {}.sqlite_master WHERE type = 'table' AND name "
                             "NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE "
                             "'indoubt\\_cdc\\_%' ESCAPE '\\' ORDER BY name",
                             schema)));
  return query.Strings();
}

// Of a search view, without its indexes and what those are made of.
Result<std::vector<std::string>> SearchedTables(SqliteDatabase& db, const std::string& schema) {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery query,
      db.Prepare("SELECT name FROM pragma_table_list WHERE schema = ?1 AND type = 'table' "
                 "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE "
                 "'indoubt\\_cdc\\_%' ESCAPE '\\' ORDER BY name"));
  query.BindText(1, schema);
  return query.Strings();
}

// Name, type and place in the key of each column; empty when there is no such table. kDocId is
// each version's own.
Result<std::vector<std::string>> Shape(SqliteDatabase& db, const std::string& schema,
                                       const std::string& table) {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery query,
      db.Prepare("SELECT quote(name) || ' ' || type || ' ' || pk FROM "
                 "pragma_table_info(?1, ?2) WHERE name <> ?3 ORDER BY name"));
  query.BindText(1, table);
  query.BindText(2, schema);
  query.BindText(3, kDocId);
  return query.Strings();
}

Result<std::string> ColumnList(SqliteDatabase& db, const std::string& schema,
                               const std::string& table) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db.Prepare("SELECT name FROM pragma_table_info(?1, ?2) "
                                      "WHERE name <> ?3"));
  query.BindText(1, table);
  query.BindText(2, schema);
  query.BindText(3, kDocId);
  INDOUBT_ASSIGN_OR_RETURN(const auto names, query.Strings());
  std::vector<std::string> quoted;
  for (const std::string& name : names) quoted.push_back(QuotedName(name));
  return fmt::format("{}", fmt::join(quoted, ", "));
}

Result<uint64_t> Count(SqliteDatabase& db, const std::string& table) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query, db.Prepare("SELECT count(*) FROM " + table));
  INDOUBT_RETURN_IF_ERROR(query.Next().status());
  return query.U64(0);
}

class SqliteRebuildSink : public RebuildSink {
 public:
  SqliteRebuildSink(ViewOptions view, const std::string& scratch)
      : view_(std::move(view)), new_(scratch + ".db"), proof_(scratch + "-proof.db") {}

  Status Prepare() override { return Remove(); }
  ViewOptions NewVersion() const override { return At(new_); }
  ViewOptions Proof() const override { return At(proof_); }

  Result<VersionsCompared> Compare() override {
    INDOUBT_ASSIGN_OR_RETURN(auto db,
                             SqliteDatabase::Open(new_, SqliteDatabase::Mode::kDurableWriter));
    INDOUBT_RETURN_IF_ERROR(Attach(*db, proof_, "proof"));
    VersionsCompared result;
    INDOUBT_ASSIGN_OR_RETURN(const auto ours, Tables(*db, "main"));
    INDOUBT_ASSIGN_OR_RETURN(const auto theirs, Tables(*db, "proof"));
    for (const std::string& table : ours) {
      if (searched()) INDOUBT_RETURN_IF_ERROR(CheckSearchIndex(*db, table));
      INDOUBT_RETURN_IF_ERROR(CompareTable(*db, table, result));
    }
    for (const std::string& table : theirs) {
      INDOUBT_ASSIGN_OR_RETURN(const auto shape, Shape(*db, "main", table));
      if (shape.empty()) {
        result.differing.push_back(fmt::format("{}: only derived from the source", table));
      }
    }
    return result;
  }

  Result<ViewPosition> Swap(const std::string& log_id, const CatchUp& catch_up) override {
    INDOUBT_ASSIGN_OR_RETURN(auto old, MakeView(view_));
    INDOUBT_RETURN_IF_ERROR(old->Open().status());  // makes what every view has, if absent
    old.reset();
    INDOUBT_ASSIGN_OR_RETURN(
        auto db, SqliteDatabase::Open(view_.sink, SqliteDatabase::Mode::kDurableWriter));
    // From here on the old one's worker waits.
    INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db));
    INDOUBT_ASSIGN_OR_RETURN(const ViewPosition before, PositionIn(*db));
    INDOUBT_ASSIGN_OR_RETURN(
        const ViewPosition to,
        catch_up(before.log_id == log_id ? before.position : EventPosition{}));
    INDOUBT_RETURN_IF_ERROR(Attach(*db, new_, "version"));
    INDOUBT_RETURN_IF_ERROR(CopyTables(*db));
    INDOUBT_RETURN_IF_ERROR(CopyOwn(*db, to));
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_rebuild_swapping", view_.name));
    INDOUBT_RETURN_IF_ERROR(transaction.Commit());
    return to;
  }

  Status Remove() override {
    for (const std::string& path : {new_, proof_}) {
      for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
        std::error_code error;
        std::filesystem::remove(path + suffix, error);
        if (error) {
          return Status(StatusCode::kUnavailable,
                        fmt::format("cannot remove {}{}: {}", path, suffix, error.message()));
        }
      }
    }
    return Status::Ok();
  }

 private:
  bool searched() const { return view_.kind == ViewKind::kSearch; }

  Result<std::vector<std::string>> Tables(SqliteDatabase& db, const std::string& schema) const {
    return searched() ? SearchedTables(db, schema) : DerivedTables(db, schema);
  }

  ViewOptions At(const std::string& path) const {
    ViewOptions options = view_;
    options.sink = path;
    return options;
  }

  static Status Attach(SqliteDatabase& db, const std::string& path, const std::string& as) {
    INDOUBT_ASSIGN_OR_RETURN(SqliteQuery attach, db.Prepare("ATTACH ?1 AS " + as));
    attach.BindText(1, path);
    return attach.Run();
  }

  // A table of the new version, against that of the proof; without rows neither need be there.
  static Status CompareTable(SqliteDatabase& db, const std::string& table,
                             VersionsCompared& result) {
    const std::string name = QuotedName(table);
    INDOUBT_ASSIGN_OR_RETURN(const uint64_t count, Count(db, "main." + name));
    result.entries += count;
    INDOUBT_ASSIGN_OR_RETURN(const auto ours, Shape(db, "main", table));
    INDOUBT_ASSIGN_OR_RETURN(const auto theirs, Shape(db, "proof", table));
    if (theirs.empty() && count == 0) return Status::Ok();
    if (ours != theirs) {
      result.differing.push_back(fmt::format("{}: columns {{{}}}, and from the source {{{}}}",
                                             table, fmt::join(ours, ", "),
                                             fmt::join(theirs, ", ")));
      return Status::Ok();
    }
    INDOUBT_ASSIGN_OR_RETURN(const uint64_t expected, Count(db, "proof." + name));
    if (count != expected) {
      result.differing.push_back(
          fmt::format("{}: {} rows, and from the source {}", table, count, expected));
    }
    INDOUBT_RETURN_IF_ERROR(Minus(db, table, "main", "proof", "not in the source", result));
    return Minus(db, table, "proof", "main", "in the source alone", result);
  }

  // Rows of `table` in `left` and not, or not as often, in `right`.
  static Status Minus(SqliteDatabase& db, const std::string& table, const std::string& left,
                      const std::string& right, const std::string& what,
                      VersionsCompared& result) {
    INDOUBT_ASSIGN_OR_RETURN(const std::string columns, ColumnList(db, "main", table));
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery query,
        db.Prepare(fmt::format("SELECT {0}, count(*) FROM {1}.{3} GROUP BY {0} EXCEPT "
                               "SELECT {0}, count(*) FROM {2}.{3} GROUP BY {0} LIMIT {4}",
                               columns, left, right, QuotedName(table), kMaxShown)));
    for (;;) {
      INDOUBT_ASSIGN_OR_RETURN(const bool more, query.Next());
      if (!more) return Status::Ok();
      std::vector<std::string> values;
      for (size_t i = 0; i + 1 < query.Row().size(); ++i) {
        values.push_back(query.Bytes(static_cast<int>(i)).substr(0, 60));
      }
      result.differing.push_back(
          fmt::format("{} ({}): {}", table, fmt::join(values, ", "), what));
    }
  }

  Result<ViewPosition> PositionIn(SqliteDatabase& db) const {
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery query,
        db.Prepare("SELECT position FROM indoubt_cdc_position WHERE view = ?1"));
    query.BindText(1, view_.name);
    INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
    return ViewPosition::Parse(found ? query.Bytes(0) : "");
  }

  Status CopyTables(SqliteDatabase& db) const {
    INDOUBT_ASSIGN_OR_RETURN(const auto tables, Tables(db, "version"));
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery query,
        db.Prepare("SELECT name FROM main.indoubt_cdc_tables WHERE view = ?1"));
    query.BindText(1, view_.name);
    INDOUBT_ASSIGN_OR_RETURN(const auto before, query.Strings());
    for (const std::string& table : before) {
      INDOUBT_ASSIGN_OR_RETURN(const auto shape, Shape(db, "version", table));
      if (!shape.empty()) continue;  // else replaced below
      if (searched()) INDOUBT_RETURN_IF_ERROR(DropSearchIndex(db, table));
      INDOUBT_RETURN_IF_ERROR(db.Execute("DROP TABLE IF EXISTS main." + QuotedName(table)));
    }
    for (const std::string& table : tables) {
      INDOUBT_RETURN_IF_ERROR(searched() ? CopySearched(db, table) : CopyTable(db, table));
    }
    return Status::Ok();
  }

  // A table that keeps its columns keeps the indexes and triggers that its users gave it.
  static Status CopyTable(SqliteDatabase& db, const std::string& table) {
    const std::string name = QuotedName(table);
    INDOUBT_ASSIGN_OR_RETURN(const auto old_shape, Shape(db, "main", table));
    INDOUBT_ASSIGN_OR_RETURN(const auto new_shape, Shape(db, "version", table));
    if (old_shape == new_shape) {
      INDOUBT_RETURN_IF_ERROR(db.Execute("DELETE FROM main." + name));
    } else {
      INDOUBT_RETURN_IF_ERROR(db.Execute("DROP TABLE IF EXISTS main." + name));
      INDOUBT_RETURN_IF_ERROR(MakeAlike(db, table));
    }
    return CopyRows(db, table);
  }

  // The index is filled at once, behind the rows, and not by its triggers row by row.
  static Status CopySearched(SqliteDatabase& db, const std::string& table) {
    INDOUBT_RETURN_IF_ERROR(DropSearchIndex(db, table));
    INDOUBT_RETURN_IF_ERROR(db.Execute("DROP TABLE IF EXISTS main." + QuotedName(table)));
    INDOUBT_RETURN_IF_ERROR(MakeAlike(db, table));
    INDOUBT_RETURN_IF_ERROR(DropSearchIndex(db, table));  // the triggers, which were made, too
    INDOUBT_RETURN_IF_ERROR(CopyRows(db, table));
    return CopySearchIndex(db, "version", table);
  }

  static Status CopyRows(SqliteDatabase& db, const std::string& table) {
    const std::string name = QuotedName(table);
    INDOUBT_ASSIGN_OR_RETURN(const std::string columns, ColumnList(db, "version", table));
    return db.Execute(
        fmt::format("INSERT INTO main.{0} ({1}) SELECT {1} FROM version.{0}", name, columns));
  }

  // The statements that made the table and what belongs to it, without a schema's name.
  static Status MakeAlike(SqliteDatabase& db, const std::string& table) {
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery query,
        db.Prepare("SELECT sql FROM version.sqlite_master WHERE tbl_name = ?1 AND sql IS NOT "
                   "NULL ORDER BY type <> 'table', rowid"));
    query.BindText(1, table);
    INDOUBT_ASSIGN_OR_RETURN(const auto statements, query.Strings());
    for (const std::string& sql : statements) INDOUBT_RETURN_IF_ERROR(db.Execute(sql));
    return Status::Ok();
  }

  Status CopyOwn(SqliteDatabase& db, const ViewPosition& to) const {
    for (const char* statement : {"DELETE FROM main.indoubt_cdc_parked WHERE view = ?1",
                                  "DELETE FROM main.indoubt_cdc_retry WHERE view = ?1",
                                  "DELETE FROM main.indoubt_cdc_tables WHERE view = ?1",
                                  "INSERT INTO main.indoubt_cdc_tables SELECT view, name FROM "
                                  "version.indoubt_cdc_tables WHERE view = ?1"}) {
      INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query, db.Prepare(statement));
      query.BindText(1, view_.name);
      INDOUBT_RETURN_IF_ERROR(query.Run());
    }
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery position,
        db.Prepare("INSERT OR REPLACE INTO main.indoubt_cdc_position VALUES (?1, ?2)"));
    position.BindText(1, view_.name);
    position.BindText(2, to.ToString());
    return position.Run();
  }

  const ViewOptions view_;
  const std::string new_, proof_;  // paths
};

}  // namespace

std::unique_ptr<RebuildSink> MakeSqliteRebuildSink(const ViewOptions& view,
                                                   const std::string& scratch) {
  return std::make_unique<SqliteRebuildSink>(view, scratch);
}

}  // namespace indoubt::cdc_internal
