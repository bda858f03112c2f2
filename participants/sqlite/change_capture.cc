#include "participants/sqlite/change_capture.h"

#include <fmt/format.h>

namespace indoubt::sqlite {

ChangeCapture::ChangeCapture(Connection& connection) : connection_(connection) {
  // For good: statements compiled without a hook may leave it out (DELETE without
  // WHERE empties a table page by page).
  sqlite3_preupdate_hook(connection.handle(), &ChangeCapture::OnChange, this);
}

ChangeCapture::~ChangeCapture() {
  sqlite3_preupdate_hook(connection_.handle(), nullptr, nullptr);
}

void ChangeCapture::Start(const DatabaseModel& model) {
  model_ = &model;
  changes_.clear();
  by_key_.clear();
  problem_ = Status::Ok();
}

ChangeSet ChangeCapture::Stop() {
  model_ = nullptr;
  ChangeSet net;
  for (RowChange& change : changes_) {
    if (change.before != change.after) net.push_back(std::move(change));
  }
  changes_.clear();
  return net;
}

void ChangeCapture::OnChange(void* self, sqlite3* db, int operation, const char* database,
                             const char* table, sqlite3_int64, sqlite3_int64) {
  auto* capture = static_cast<ChangeCapture*>(self);
  if (capture->model_ != nullptr) capture->Add(db, operation, database, table);
}

void ChangeCapture::Add(sqlite3* db, int operation, const char* database, const char* name) {
  const TableModel* table = std::string_view(database) == "main" ? model_->Find(name) : nullptr;
  if (table == nullptr || !table->managed) {
    problem_ =
        Status(StatusCode::kRefused,
               fmt::format("table {} is changed but is not managed; add it to tables", name));
    return;
  }
  if (static_cast<size_t>(sqlite3_preupdate_count(db)) != table->columns.size()) {
    problem_ =
        Status(StatusCode::kRefused, fmt::format("table {} has changed its columns", name));
    return;
  }
  if (operation != SQLITE_INSERT) Deleted(*table, Read(db, *table, true));
  if (operation != SQLITE_DELETE) Inserted(*table, Read(db, *table, false));
}

Row ChangeCapture::Read(sqlite3* db, const TableModel& table, bool old_row) {
  Row row;
  row.reserve(table.columns.size());
  for (size_t i = 0; i < table.columns.size(); ++i) {
    sqlite3_value* value = nullptr;
    const int at = static_cast<int>(i);
    const int code =
        old_row ? sqlite3_preupdate_old(db, at, &value) : sqlite3_preupdate_new(db, at, &value);
    if (code != SQLITE_OK || value == nullptr) {
      problem_ =
          Status(StatusCode::kInternal, fmt::format("a change of table {} cannot be read: {}",
                                                    table.name, sqlite3_errstr(code)));
      row.emplace_back();
      continue;
    }
    SqlValue read = ReadValue(value);
    const auto* number = std::get_if<int64_t>(&read);
    if (number && table.columns[i].real) read = static_cast<double>(*number);
    if (IsNull(read) && table.columns[i].key_position > 0) {
      problem_ = Status(StatusCode::kRefused,
                        fmt::format("table {}: the primary key column {} is NULL, so the row "
                                    "cannot be found again; give it a value",
                                    table.name, table.columns[i].name));
    }
    row.push_back(std::move(read));
  }
  return row;
}

std::string ChangeCapture::KeyOf(const TableModel& table, const Row& row) {
  std::string key = table.name;
  for (int column : table.keys.front().columns) {
    const SqlValue& value = row[static_cast<size_t>(column)];
    key += static_cast<char>('0' + value.index());
    if (const auto* number = std::get_if<int64_t>(&value)) {
      key.append(reinterpret_cast<const char*>(number), sizeof *number);
    } else if (const auto* real = std::get_if<double>(&value)) {
      key.append(reinterpret_cast<const char*>(real), sizeof *real);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      key += fmt::format("{}:", text->size()) + *text;
    } else if (const auto* blob = std::get_if<Blob>(&value)) {
      key += fmt::format("{}:", blob->bytes.size()) + blob->bytes;
    }
  }
  return key;
}

RowChange& ChangeCapture::Entry(const TableModel& table, const std::string& key, bool& fresh) {
  const auto [at, added] = by_key_.emplace(key, changes_.size());
  fresh = added;
  if (added) changes_.push_back({table.name, std::nullopt, std::nullopt});
  return changes_[at->second];
}

void ChangeCapture::Deleted(const TableModel& table, Row row) {
  bool fresh = false;
  RowChange& change = Entry(table, KeyOf(table, row), fresh);
  if (fresh) change.before = std::move(row);
  change.after.reset();
}

void ChangeCapture::Inserted(const TableModel& table, Row row) {
  bool fresh = false;
  RowChange& change = Entry(table, KeyOf(table, row), fresh);
  change.after = std::move(row);
}

}  // namespace indoubt::sqlite
