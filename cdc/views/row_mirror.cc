#include "cdc/views/row_mirror.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "cdc/log/same_shape.h"
#include "cdc/views/row_derivations.h"

namespace indoubt::cdc_internal {
namespace {

// Walks over TupleData (PostgreSQL manual, 55.9).
class TupleWalk {
 public:
  explicit TupleWalk(std::string_view tuple) : rest_(tuple) { count_ = Number(2); }
  size_t count() const { return count_; }
  bool failed() const { return failed_; }
  bool at_end() const { return rest_.empty(); }
  /// The form of the next value, 'n', 'u' or 't'; `text` is set with 't'.
  char Next(std::string_view& text) {
    const std::string_view form = Take(1);
    if (failed_) return 0;
    if (form[0] == 't') text = Take(Number(4));
    return form[0];
  }

 private:
  std::string_view Take(size_t length) {
    if (failed_ || rest_.size() < length) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }
  size_t Number(size_t width) {
    size_t value = 0;
    for (const char byte : Take(width)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  std::string_view rest_;
  size_t count_ = 0;
  bool failed_ = false;
};

bool IsWhole(std::string_view tuple) {
  TupleWalk walk(tuple);
  std::string_view text;
  for (size_t i = 0; i < walk.count() && !walk.failed(); ++i) {
    if (walk.Next(text) == 'u') return false;
  }
  return !walk.failed() && walk.at_end();
}

bool IsInteger(uint32_t type_oid) {
  return type_oid == 20 || type_oid == 21 || type_oid == 23;  // int8, int2, int4
}

// An integer as one: the column's affinity would make the same of its text, at length. A float
// as one, too: of its text SQLite makes another now and then, in the last place.
void BindText(SqliteQuery& query, int index, std::string_view text, uint32_t type_oid) {
  int64_t value = 0;
  if (IsInteger(type_oid)) {
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) {
      query.Bind(index, value);
      return;
    }
  }
  if (const auto number = ExactDouble(text, type_oid)) {
    query.Bind(index, *number);
    return;
  }
  query.BindStaticText(index, text);
}

Status Misfit(const events::Transaction& event) {
  return Status(
      StatusCode::kCorrupt,
      fmt::format("the event of transaction {} does not fit its own shapes", event.xid()));
}

std::string PutSql(const events::Relation& shape) {
  std::string names, places;
  for (int i = 0; i < shape.columns_size(); ++i) {
    names += (i > 0 ? ", " : "") + QuotedName(shape.columns(i).name());
    places += fmt::format("{}?{}", i > 0 ? ", " : "", i + 1);
  }
  return fmt::format("INSERT OR REPLACE INTO {} ({}) VALUES ({})", QuotedName(shape.name()),
                     names, places);
}

}  // namespace

bool RowMirror::Takes(const events::Transaction& event) {
  for (const events::Change& change : event.changes()) {
    const bool puts =
        change.kind() == events::Change::INSERT || change.kind() == events::Change::UPDATE;
    if (!puts || change.has_before() || !change.before_tuple().empty() ||
        !IsWhole(change.after_tuple())) {
      return false;
    }
  }
  return true;
}

Result<RowMirror::Table*> RowMirror::Find(
    SqliteDatabase& db, const LoggedEvent& event, uint32_t oid,
    const std::function<Status(const events::Relation&)>& follow) {
  const auto known = tables_.find(oid);
  const auto& numbers = event.transaction->shapes();
  if (known != tables_.end() && known->second.number != 0 &&
      std::find(numbers.begin(), numbers.end(), known->second.number) != numbers.end()) {
    return &known->second;
  }
  const events::Relation* shape = FindShape(*event.transaction, event.shapes, oid);
  if (shape == nullptr) return static_cast<Table*>(nullptr);
  uint64_t number = 0;
  for (const uint64_t named : numbers) {
    if (event.shapes->Find(named) == shape) number = named;
  }
  if (known != tables_.end() && SameShape(known->second.shape, *shape)) {
    known->second.number = number;
    return &known->second;
  }
  INDOUBT_RETURN_IF_ERROR(follow(*shape));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery put, db.Prepare(PutSql(*shape)));
  tables_.erase(oid);
  return &tables_.emplace(oid, Table{*shape, std::move(put), number}).first->second;
}

Status RowMirror::Put(SqliteDatabase& db, const LoggedEvent& event,
                      const std::function<Status(const events::Relation&)>& follow) {
  Table* table = nullptr;
  for (const events::Change& change : event.transaction->changes()) {
    if (table == nullptr || table->shape.oid() != change.relation_oid()) {
      INDOUBT_ASSIGN_OR_RETURN(table, Find(db, event, change.relation_oid(), follow));
      if (table == nullptr) return Misfit(*event.transaction);
    }
    TupleWalk walk(change.after_tuple());
    if (walk.count() != static_cast<size_t>(table->shape.columns_size())) {
      return Misfit(*event.transaction);
    }
    for (int i = 1; i <= table->shape.columns_size(); ++i) {
      std::string_view text;
      if (walk.Next(text) == 't') {
        BindText(table->put, i, text, table->shape.columns(i - 1).type_oid());
      } else {
        table->put.BindNull(i);
      }
    }
    INDOUBT_RETURN_IF_ERROR(table->put.Run());
  }
  return Status::Ok();
}

}  // namespace indoubt::cdc_internal
