#include "cdc/views/parked.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace indoubt::cdc_internal {
namespace {

constexpr size_t kMaxNamedRows = 1000;
constexpr size_t kMaxKey = 200;

std::string RowName(const events::Relation& shape, const events::Row& row) {
  std::string key;
  for (int i = 0; i < shape.columns_size() && i < row.values_size(); ++i) {
    if (!shape.columns(i).key()) continue;
    const events::Datum& value = row.values(i);
    key += value.has_text() ? fmt::format("{}:{}", value.text().size(), value.text()) : "-";
  }
  if (key.size() > kMaxKey) {
    key = fmt::format("{}#{:08x}", key.substr(0, kMaxKey), Crc32c(key));
  }
  return fmt::format("{}:{}", shape.oid(), key);
}

std::string TableOf(const std::string& row) { return row.substr(0, row.find(':')); }

}  // namespace

std::vector<std::string> RowsOf(const LoggedEvent& event) {
  events::Transaction transaction = *event.transaction;
  const bool readable = ExpandRows(transaction, event.shapes).ok();
  std::set<std::string> rows;
  std::set<std::string> tables;
  for (const events::Change& change : transaction.changes()) {
    const std::string table = std::to_string(change.relation_oid());
    tables.insert(table);
    const events::Relation* shape = FindShape(transaction, event.shapes, change.relation_oid());
    if (!readable || shape == nullptr || change.kind() == events::Change::TRUNCATE) {
      rows.insert(table);
      continue;
    }
    if (change.has_before()) rows.insert(RowName(*shape, change.before()));
    if (change.has_after()) rows.insert(RowName(*shape, change.after()));
  }
  if (rows.size() > kMaxNamedRows) rows = std::move(tables);
  return {rows.begin(), rows.end()};
}

ParkedEvent Park(const LoggedEvent& event, std::string reason) {
  return {event.position, std::move(reason), RowsOf(event)};
}

std::string Serialize(const ParkedEvent& event) {
  events::ParkedEvent record;
  record.set_lsn(event.position.lsn.value);
  record.set_ordinal(event.position.ordinal);
  record.set_reason(event.reason);
  for (const std::string& row : event.rows) record.add_rows(row);
  return record.SerializeAsString();
}

Result<ParkedEvent> ParseParked(const std::string& bytes) {
  events::ParkedEvent record;
  if (bytes.empty() || !record.ParseFromString(bytes) || record.lsn() == 0) {
    return Status(StatusCode::kCorrupt,
                  "the sink's record of a parked event is not what was written; rebuild the "
                  "view");
  }
  return ParkedEvent{{Lsn{record.lsn()}, record.ordinal()},
                     record.reason(),
                     {record.rows().begin(), record.rows().end()}};
}

void ParkedRows::Add(const ParkedEvent& event) {
  rows_.insert(event.rows.begin(), event.rows.end());
}

bool ParkedRows::Touches(const std::vector<std::string>& rows) const {
  if (rows_.empty()) return false;
  for (const std::string& row : rows) {
    if (rows_.contains(row) || rows_.contains(TableOf(row))) return true;
    const bool whole_table = row.find(':') == std::string::npos;
    const auto next = whole_table ? rows_.lower_bound(row + ":") : rows_.end();
    if (next != rows_.end() && TableOf(*next) == row) return true;
  }
  return false;
}

}  // namespace indoubt::cdc_internal
