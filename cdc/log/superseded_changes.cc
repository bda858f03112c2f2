#include "cdc/log/superseded_changes.h"

#include <fmt/format.h>

namespace indoubt::cdc_internal {
namespace {

// Names of the key's columns; none where all columns are: of a table with REPLICA IDENTITY FULL
// that is no key, for there may be several such rows.
std::optional<std::string> KeyColumns(const SourceRelation& relation) {
  std::string names;
  bool others = false;
  for (const SourceColumn& column : relation.columns) {
    if (column.key) {
      names += fmt::format("{}:{},", column.name.size(), column.name);
    } else {
      others = true;
    }
  }
  return others && !names.empty() ? std::optional(names) : std::nullopt;
}

// None when the image lacks a part of it.
std::optional<std::string> KeyOf(const SourceRelation& relation, const RowImage& image) {
  std::string key = fmt::format("{}:", relation.oid);
  for (const SourceColumn& column : relation.columns) {
    if (!column.key) continue;
    const auto value = image.find(column.name);
    if (value == image.end() || !value->second) return std::nullopt;
    key += fmt::format("{}:{}", value->second->size(), *value->second);
  }
  return key;
}

bool IsWhole(const RowChange& change) {
  return change.after->size() == change.relation->columns.size();
}

}  // namespace

Result<std::unique_ptr<SupersededChanges>> SupersededChanges::Make() {
  INDOUBT_ASSIGN_OR_RETURN(auto db, SqliteDatabase::Open("", SqliteDatabase::Mode::kScratch));
  INDOUBT_RETURN_IF_ERROR(
      db->Execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16384;"
                  "CREATE TABLE keys(key BLOB PRIMARY KEY, settled_at INTEGER NOT NULL, "
                  "gone INTEGER NOT NULL, pinned INTEGER NOT NULL) WITHOUT ROWID; BEGIN"));
  return std::unique_ptr<SupersededChanges>(new SupersededChanges(std::move(db)));
}

Status SupersededChanges::Note(uint64_t order, const RowChange& change) {
  Table& table = tables_[change.relation->oid];
  const auto columns = KeyColumns(*change.relation);
  if (!columns || (!table.key_columns.empty() && table.key_columns != *columns)) {
    table.kept = true;
  } else {
    table.key_columns = *columns;
  }
  if (table.kept) return Status::Ok();
  const SourceRelation& relation = *change.relation;
  switch (change.kind) {
    case ChangeKind::kTruncate:
      table.truncated_at = order;
      return Status::Ok();
    case ChangeKind::kDelete:
      return Settle(order, KeyOf(relation, *change.before), true, table);
    case ChangeKind::kInsert:
      return Settle(order, KeyOf(relation, *change.after), false, table);
    case ChangeKind::kUpdate:
      return NoteUpdate(order, change, table);
  }
  return Status(StatusCode::kInternal, "unknown kind of change");
}

Status SupersededChanges::NoteUpdate(uint64_t order, const RowChange& change, Table& table) {
  const auto key = KeyOf(*change.relation, *change.after);
  const auto old_key = change.before ? KeyOf(*change.relation, *change.before) : key;
  const bool whole = IsWhole(change);
  if (old_key == key) {
    // One that leaves a value out needs the change that brought it.
    return whole || !key ? Settle(order, key, false, table) : Status::Ok();
  }
  INDOUBT_RETURN_IF_ERROR(Settle(order, old_key, true, table));
  if (!whole) INDOUBT_RETURN_IF_ERROR(Pin(old_key, table));
  return Settle(order, key, false, table);
}

Status SupersededChanges::Settle(uint64_t order, const std::optional<std::string>& key,
                                 bool gone, Table& table) {
  if (!key) {  // a change of nobody knows which row
    table.kept = true;
    return Status::Ok();
  }
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery * query,
      db_->Cached("INSERT INTO keys VALUES (?1, ?2, ?3, 0) ON CONFLICT(key) DO UPDATE SET "
                  "settled_at = excluded.settled_at, gone = excluded.gone"));
  query->BindBlob(1, *key);
  query->Bind(2, order);
  query->Bind(3, uint64_t{gone});
  return query->Run();
}

Status SupersededChanges::Pin(const std::optional<std::string>& key, Table& table) {
  if (!key) return Status::Ok();
  table.pinned = true;
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db_->Cached("UPDATE keys SET pinned = 1 WHERE key = ?1"));
  query->BindBlob(1, *key);
  return query->Run();
}

Result<SupersededChanges::Key> SupersededChanges::Find(const std::string& key) {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery * query,
      db_->Cached("SELECT settled_at, gone, pinned FROM keys WHERE key = ?1"));
  query->BindBlob(1, key);
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query->Next());
  if (!found) return Key{};
  const Key known{query->U64(0), query->U64(1) != 0, query->U64(2) != 0};
  query->Reset();
  return known;
}

// A deletion is not needed either: all that is before it goes before it does.
Result<bool> SupersededChanges::NeedsKey(uint64_t order, const std::optional<std::string>& key,
                                         const Table& table) {
  if (!key) return true;
  INDOUBT_ASSIGN_OR_RETURN(const Key known, Find(*key));
  if (known.pinned) return true;
  const bool superseded = known.settled_at > order || table.truncated_at > order ||
                          (known.settled_at == order && known.gone);
  return !superseded;
}

Result<bool> SupersededChanges::Needs(uint64_t order, const RowChange& change) {
  Table& table = tables_[change.relation->oid];
  if (table.kept) return true;
  if (change.kind == ChangeKind::kTruncate) return table.pinned;
  const auto before = change.before ? KeyOf(*change.relation, *change.before) : std::nullopt;
  const auto after = change.after ? KeyOf(*change.relation, *change.after) : std::nullopt;
  if (change.kind == ChangeKind::kDelete) return NeedsKey(order, before, table);
  if (!change.before) return NeedsKey(order, after, table);
  INDOUBT_ASSIGN_OR_RETURN(const bool needs, NeedsKey(order, before, table));
  if (!needs) return NeedsKey(order, after, table);
  // It makes a row of the other key, whose later changes, and end, are needed for that.
  INDOUBT_RETURN_IF_ERROR(Pin(after, table));
  return true;
}

}  // namespace indoubt::cdc_internal
