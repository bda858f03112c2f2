// From logged events to the row changes that derivations see.
#include <fmt/format.h>

#include "cdc/view.h"

namespace indoubt {
namespace {

Status Misfit(const LoggedEvent& event) {
  return Status(StatusCode::kCorrupt,
                fmt::format("event {} at {} does not fit its own shapes", event.sequence,
                            event.position.lsn.ToString()));
}

std::optional<RowImage> ToRowImage(const SourceRelation& relation, const events::Row& row,
                                   bool key_only) {
  if (row.values_size() != static_cast<int>(relation.columns.size())) return std::nullopt;
  RowImage image;
  for (size_t i = 0; i < relation.columns.size(); ++i) {
    const SourceColumn& column = relation.columns[i];
    const events::Datum& datum = row.values(static_cast<int>(i));
    if (datum.unchanged() || (key_only && !column.key)) continue;
    image[column.name] =
        datum.null() ? std::optional<std::string>() : std::optional(datum.text());
  }
  return image;
}

// Takes `length` bytes off the front; none when there are fewer.
std::optional<std::string_view> Take(std::string_view& bytes, size_t length) {
  if (bytes.size() < length) return std::nullopt;
  const std::string_view taken = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return taken;
}

std::optional<size_t> TakeNumber(std::string_view& bytes, size_t width) {
  const auto raw = Take(bytes, width);
  if (!raw) return std::nullopt;
  size_t value = 0;
  for (const char byte : *raw) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

// The same of TupleData; none when the bytes are not what the relation has columns for.
std::optional<RowImage> ToRowImage(const SourceRelation& relation, std::string_view tuple,
                                   bool key_only) {
  if (TakeNumber(tuple, 2) != relation.columns.size()) return std::nullopt;
  RowImage image;
  for (const SourceColumn& column : relation.columns) {
    const auto form = Take(tuple, 1);
    if (!form) return std::nullopt;
    std::optional<std::string_view> text;
    if (*form == "t") {
      const auto length = TakeNumber(tuple, 4);
      if (length) text = Take(tuple, *length);
      if (!text) return std::nullopt;
    } else if (*form != "n" && *form != "u") {
      return std::nullopt;
    }
    if (*form == "u" || (key_only && !column.key)) continue;
    image.emplace(column.name,
                  text ? std::optional<std::string>(*text) : std::optional<std::string>());
  }
  return tuple.empty() ? std::optional(std::move(image)) : std::nullopt;
}

// A value that the update left alone is what it was, where the old key or row says that.
void FillUnchanged(const events::Relation& shape, events::Change& change) {
  for (int i = 0; i < change.after().values_size(); ++i) {
    if (!change.after().values(i).unchanged()) continue;
    if (change.before_is_key() && !shape.columns(i).key()) continue;
    *change.mutable_after()->mutable_values(i) = change.before().values(i);
  }
}

std::optional<ChangeKind> ToChangeKind(events::Change::Kind kind) {
  if (kind == events::Change::INSERT) return ChangeKind::kInsert;
  if (kind == events::Change::UPDATE) return ChangeKind::kUpdate;
  if (kind == events::Change::DELETE) return ChangeKind::kDelete;
  if (kind == events::Change::TRUNCATE) return ChangeKind::kTruncate;
  return std::nullopt;
}

}  // namespace

SourceRelation ToSourceRelation(const events::Relation& shape) {
  SourceRelation relation{shape.oid(), shape.schema(), shape.name(), {}};
  for (const events::Column& column : shape.columns()) {
    relation.columns.push_back({column.name(), column.type_oid(), column.key()});
  }
  return relation;
}

Status ForEachRowChange(const LoggedEvent& event,
                        const std::function<Status(const RowChange&)>& visit) {
  std::map<uint32_t, SourceRelation> relations;
  ForEachShape(*event.transaction, event.shapes, [&](const events::Relation& shape) {
    relations.emplace(shape.oid(), ToSourceRelation(shape));
    return true;
  });
  for (const events::Change& logged : event.transaction->changes()) {
    const auto found = relations.find(logged.relation_oid());
    const std::optional<ChangeKind> kind = ToChangeKind(logged.kind());
    if (found == relations.end() || !kind) return Misfit(event);
    RowChange change;
    change.kind = *kind;
    change.relation = &found->second;
    change.snapshot = event.transaction->snapshot();
    const bool has_before = logged.has_before() || !logged.before_tuple().empty();
    const bool has_after = logged.has_after() || !logged.after_tuple().empty();
    const SourceRelation& relation = found->second;
    if (has_before) {
      change.before = logged.has_before()
                          ? ToRowImage(relation, logged.before(), logged.before_is_key())
                          : ToRowImage(relation, logged.before_tuple(), logged.before_is_key());
    }
    if (has_after) {
      change.after = logged.has_after() ? ToRowImage(relation, logged.after(), false)
                                        : ToRowImage(relation, logged.after_tuple(), false);
    }
    if (has_before != change.before.has_value() || has_after != change.after.has_value()) {
      return Misfit(event);
    }
    // As FillUnchanged.
    if (change.before && change.after) {
      change.after->insert(change.before->begin(), change.before->end());
    }
    const bool needs_after = *kind == ChangeKind::kInsert || *kind == ChangeKind::kUpdate;
    if (needs_after != change.after.has_value()) return Misfit(event);
    if (*kind == ChangeKind::kDelete && !change.before) return Misfit(event);
    INDOUBT_RETURN_IF_ERROR(visit(change));
  }
  return Status::Ok();
}

Status ExpandRows(events::Transaction& transaction, const ShapeTable* shapes) {
  const auto expand = [&](const events::Change& change, std::string_view tuple,
                          events::Row* row) {
    const events::Relation* shape = FindShape(transaction, shapes, change.relation_oid());
    const int columns = shape == nullptr ? -1 : shape->columns_size();
    if (TakeNumber(tuple, 2) != static_cast<size_t>(columns)) return false;
    for (int i = 0; i < columns; ++i) {
      const auto form = Take(tuple, 1);
      events::Datum* value = row->add_values();
      if (form == "t") {
        const auto length = TakeNumber(tuple, 4);
        const auto text = length ? Take(tuple, *length) : std::nullopt;
        if (!text) return false;
        value->set_text(text->data(), text->size());
      } else if (form == "n") {
        value->set_null(true);
      } else if (form == "u") {
        value->set_unchanged(true);
      } else {
        return false;
      }
    }
    return tuple.empty();
  };
  for (events::Change& change : *transaction.mutable_changes()) {
    const std::string before = std::move(*change.mutable_before_tuple());
    const std::string after = std::move(*change.mutable_after_tuple());
    change.clear_before_tuple();
    change.clear_after_tuple();
    if ((!before.empty() && !expand(change, before, change.mutable_before())) ||
        (!after.empty() && !expand(change, after, change.mutable_after()))) {
      return Status(StatusCode::kCorrupt, "a row of the source does not fit its shape");
    }
    if (!before.empty() && !after.empty()) {
      FillUnchanged(*FindShape(transaction, shapes, change.relation_oid()), change);
    }
  }
  return Status::Ok();
}

std::string ViewPosition::ToString() const {
  return fmt::format("{} {} {}", log_id, position.lsn.ToString(), position.ordinal);
}

Result<ViewPosition> ViewPosition::Parse(const std::string& text) {
  ViewPosition parsed;
  if (text.empty()) return parsed;
  const size_t first = text.find(' ');
  const size_t second = first == std::string::npos ? first : text.find(' ', first + 1);
  if (second != std::string::npos) {
    parsed.log_id = text.substr(0, first);
    const auto lsn = Lsn::Parse(text.substr(first + 1, second - first - 1));
    if (lsn) parsed.position.lsn = *lsn;
    const std::string ordinal = text.substr(second + 1);
    if (ordinal.find_first_not_of("0123456789") == std::string::npos && ordinal.size() < 19 &&
        !ordinal.empty()) {
      parsed.position.ordinal = std::stoull(ordinal);
    }
  }
  if (second == std::string::npos || parsed.ToString() != text) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("\"{}\" is no position of a view; empty the sink and rebuild",
                              text.substr(0, 80)));
  }
  return parsed;
}

}  // namespace indoubt
