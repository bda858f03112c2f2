// SQLite passes the contract of all adapters.
#include "tests/participants/contract_suite.h"
#include "tests/participants/sqlite/sqlite_fixture.h"

namespace indoubt {
namespace {

class SqliteContractStore final : public ContractStore {
 public:
  Status Reset() override {
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((path_ + suffix).c_str());
    const std::string made = Ask(
        path_,
        "PRAGMA journal_mode=WAL; CREATE TABLE number (name TEXT PRIMARY KEY, value INTEGER "
        "NOT NULL); INSERT INTO number VALUES ('a', 100), ('b', 100);"
        "CREATE TABLE other (id INTEGER PRIMARY KEY, what TEXT)");
    return made.starts_with("error") ? Status(StatusCode::kInternal, made) : Status::Ok();
  }
  std::unique_ptr<Participant> MakeParticipant() override { return Make(path_); }
  std::unique_ptr<Participant> MakeNamed(const std::string& name) override {
    return Make(path_, name);
  }
  std::unique_ptr<Participant> MakeUnreachable() override { return Make(path_ + ".missing"); }
  bool HasServer() const override { return false; }
  bool KeepsOutcomes() const override { return true; }
  void KillServer() override { INDOUBT_CHECK(false, "there is no server"); }
  Status RestartServer() override {
    return Status(StatusCode::kInternal, "there is no server");
  }
  Statement Add(const std::string& name, int64_t amount) override {
    return {"UPDATE number SET value = value + ?1 WHERE name = ?2", {{amount}, {name}}, {}};
  }
  Statement Insert(const std::string& name, int64_t value) override {
    return {"INSERT INTO number VALUES (?1, ?2)", {{name}, {value}}, {}};
  }
  Statement Read(const std::string& name) override {
    return {"SELECT value FROM number WHERE name = ?1", {{name}}, {}};
  }
  Failing MakeFailing() override {
    return {{"INSERT INTO number VALUES ('a', 1)", {}, {}}, "UNIQUE constraint failed"};
  }
  Statement TouchesNotSeven() override {
    return {"UPDATE number SET value = value + 1 WHERE name = 'a'", {}, {}};
  }
  std::optional<int64_t> Look(const std::string& name) override {
    const std::string text = Ask(path_, "SELECT value FROM number WHERE name = '" + name + "'");
    return text.empty() ? std::nullopt : std::optional<int64_t>(std::stoll(text));
  }
  bool OutsideWrite(const std::string& name, int64_t value) override {
    const auto ran = RunProgram(
        {.argv = {"sqlite3", "-batch", path_, ".timeout 200",
                  fmt::format("REPLACE INTO number VALUES ('{}', {})", name, value)}},
        SystemClock().Now() + std::chrono::seconds(30));
    return ran.has_value();
  }
  void LeaveForeignBranch() override {
    Ask(path_, "INSERT INTO other VALUES (1, 'another program')");
  }
  bool ForeignBranchIsThere() override {
    return Ask(path_, "SELECT count(*) FROM other") == "1";
  }

 private:
  static std::unique_ptr<Participant> Make(const std::string& path,
                                           const std::string& name = "store") {
    auto made = MakeSqliteParticipant({name, path, {"number"}});
    INDOUBT_CHECK(made.has_value(), made.error().ToString());
    return std::move(*made);
  }
  ScratchFolder folder_{"indoubt-sqlite-contract"};
  const std::string path_ = folder_.path() + "/store.db";
};

std::unique_ptr<ContractStore> MakeSqliteContractStore() {
  return std::make_unique<SqliteContractStore>();
}

}  // namespace

INDOUBT_INSTANTIATE_CONTRACT(Sqlite, MakeSqliteContractStore);

}  // namespace indoubt
