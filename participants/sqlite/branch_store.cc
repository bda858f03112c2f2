#include "participants/sqlite/branch_store.h"

#include <fmt/format.h>

#include "participants/sqlite/sqlite_schema.h"

namespace indoubt {

Status BranchStore::Execute(const std::string& sql, const std::vector<std::string>& params) {
  SqliteStatement statement = database_.Cached(sql);
  for (size_t i = 0; i < params.size(); ++i) {
    statement.Bind(static_cast<int>(i) + 1, params[i]);
  }
  return statement.Step() == SQLITE_DONE ? Status::Ok() : database_.Error("indoubt's tables");
}

std::string BranchStore::Fingerprint() const {
  std::string all;
  for (const auto& [name, table] : tables_) all += name + "=" + table.fingerprint + ";";
  return all;
}

Result<std::optional<Holder>> BranchStore::FindHolder(const std::string& branch,
                                                      const std::set<HeldKey>& keys) {
  for (const HeldKey& key : keys) {
    SqliteStatement look = database_.Cached(
        fmt::format("SELECT branch FROM {} WHERE tbl = ?1 AND idx = ?2 AND key = ?3 AND "
                    "branch <> ?4 AND (mode = 'x' OR ?5 = 'x')",
                    kSqliteLockTable));
    look.Bind(1, key.table);
    look.Bind(2, key.index);
    look.Bind(3, key.key);
    look.Bind(4, branch);
    look.Bind(5, std::string(key.shared ? "s" : "x"));
    const int code = look.Step();
    if (code == SQLITE_ROW) {
      return std::optional<Holder>(Holder{
          look.Text(0), fmt::format("{} {} of table {}", key.index, key.key, key.table)});
    }
    if (code != SQLITE_DONE) return database_.Error("cannot look at locks");
  }
  return std::optional<Holder>();
}

Status BranchStore::Store(const std::string& branch, const Captured& captured) {
  {
    SqliteStatement insert =
        database_.Cached(fmt::format("INSERT INTO {} VALUES (?1, ?2, ?3)", kSqliteBranchTable));
    insert.Bind(1, branch);
    insert.BindBlob(2, captured.changeset);
    insert.Bind(3, Fingerprint());
    if (insert.Step() != SQLITE_DONE) return database_.Error("cannot store the branch");
  }
  for (const HeldKey& key : captured.keys) {
    INDOUBT_RETURN_IF_ERROR(Execute(
        fmt::format("INSERT OR REPLACE INTO {} VALUES (?1, ?2, ?3, ?4, ?5)", kSqliteLockTable),
        {key.table, key.index, key.key, branch, key.shared ? "s" : "x"}));
  }
  return Status::Ok();
}

Status BranchStore::Drop(const std::string& branch) {
  // The lock table is keyed by what is locked; it holds no more than is in doubt.
  INDOUBT_RETURN_IF_ERROR(
      Execute(fmt::format("DELETE FROM {} WHERE branch = ?1", kSqliteLockTable), {branch}));
  return Execute(fmt::format("DELETE FROM {} WHERE id = ?1", kSqliteBranchTable), {branch});
}

Result<Ack> BranchStore::Commit(const std::string& branch) {
  std::string changeset, fingerprint;
  {
    SqliteStatement look = database_.Cached(
        fmt::format("SELECT changeset, fingerprint FROM {} WHERE id = ?1", kSqliteBranchTable));
    look.Bind(1, branch);
    const int code = look.Step();
    if (code == SQLITE_ROW) {
      changeset = look.Text(0);
      fingerprint = look.Text(1);
    } else if (code != SQLITE_DONE) {
      return database_.Error("cannot read the branch");
    }
  }
  if (changeset.empty()) {
    SqliteStatement look =
        database_.Cached(fmt::format("SELECT 1 FROM {} WHERE id = ?1", kSqliteOutcomeTable));
    look.Bind(1, branch);
    const int code = look.Step();
    if (code == SQLITE_ROW) return Ack{AckKind::kDone, ""};
    if (code != SQLITE_DONE) return database_.Error("cannot read the outcome");
    return Ack{
        AckKind::kHeuristic,
        "the prepared branch is gone: somebody rolled it back, or the file was replaced"};
  }
  if (fingerprint != Fingerprint()) {
    return Ack{AckKind::kHeuristic,
               "the schema was changed between prepare and commit; the branch is kept in "
               "indoubt_branch for you to look at"};
  }
  INDOUBT_RETURN_IF_ERROR(Drop(branch));
  const Status applied = ApplyChangeset(database_, changeset);
  if (applied.code() == StatusCode::kAborted) {
    return Ack{AckKind::kHeuristic,
               "the branch no longer fits its tables: " + applied.message()};
  }
  INDOUBT_RETURN_IF_ERROR(applied);
  INDOUBT_RETURN_IF_ERROR(Execute(
      fmt::format("INSERT OR IGNORE INTO {} VALUES (?1)", kSqliteOutcomeTable), {branch}));
  return Ack{AckKind::kDone, ""};
}

Status BranchStore::Rollback(const std::string& branch) { return Drop(branch); }

Status BranchStore::Forget(const std::string& branch) {
  return Execute(fmt::format("DELETE FROM {} WHERE id = ?1", kSqliteOutcomeTable), {branch});
}

Result<std::vector<std::string>> BranchStore::List() {
  std::vector<std::string> branches;
  SqliteStatement look =
      database_.Cached(fmt::format("SELECT id FROM {} ORDER BY id", kSqliteBranchTable));
  int code = 0;
  while ((code = look.Step()) == SQLITE_ROW) branches.push_back(look.Text(0));
  if (code != SQLITE_DONE) return database_.Error("cannot list branches");
  return branches;
}

Result<bool> BranchStore::IsPrepared(const std::string& branch) {
  SqliteStatement look =
      database_.Cached(fmt::format("SELECT 1 FROM {} WHERE id = ?1", kSqliteBranchTable));
  look.Bind(1, branch);
  const int code = look.Step();
  if (code != SQLITE_ROW && code != SQLITE_DONE)
    return database_.Error("cannot look at branches");
  return code == SQLITE_ROW;
}

}  // namespace indoubt
