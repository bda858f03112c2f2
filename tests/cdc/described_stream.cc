#include "tests/cdc/described_stream.h"

#include <set>

#include <fmt/format.h>

#include "cdc/source/pgoutput.h"
#include "cdc/view.h"

namespace indoubt {
namespace {

constexpr uint32_t kFirstOidOfUsers = 16384;
constexpr size_t kLongText = 60;

std::string TableName(const events::Relation& shape) {
  return fmt::format("{}.{}", shape.schema(), shape.name());
}

std::string Describe(const events::Relation& shape) {
  std::string text = fmt::format("table {}:", TableName(shape));
  for (const events::Column& column : shape.columns()) {
    text += fmt::format(" {}{}", column.name(), column.key() ? "*" : "");
    if (column.type_oid() < kFirstOidOfUsers) text += fmt::format(":{}", column.type_oid());
  }
  return text;
}

std::string Describe(const events::Datum& value) {
  if (value.unchanged()) return "unchanged";
  if (value.null()) return "null";
  const std::string& text = value.text();
  const bool repeats = text.find_first_not_of(text.substr(0, 1)) == std::string::npos;
  if (text.size() > kLongText && repeats) return fmt::format("{} x {}", text.size(), text[0]);
  return fmt::format("'{}'", text);
}

std::string Describe(const events::Relation& shape, const events::Row& row, bool key_only) {
  std::string text;
  for (int i = 0; i < shape.columns_size(); ++i) {
    if (key_only && !shape.columns(i).key()) continue;
    text += fmt::format(" {}={}", shape.columns(i).name(), Describe(row.values(i)));
  }
  return text;
}

std::string Describe(const events::Relation& shape, const events::Change& change) {
  std::string kind = events::Change::Kind_Name(change.kind());
  for (char& letter : kind) letter = static_cast<char>(std::tolower(letter));
  std::string text = fmt::format("{} {}:", kind, TableName(shape));
  if (change.has_before()) {
    text += change.before_is_key() ? " key" : " row";
    text += Describe(shape, change.before(), change.before_is_key());
  }
  if (change.has_before() && change.has_after()) text += " ->";
  if (change.has_after()) text += Describe(shape, change.after(), false);
  return text;
}

std::string DescribeEnd(const events::Transaction& transaction) {
  switch (transaction.phase()) {
    case events::Transaction::PREPARED:
      return "prepared " + transaction.gid();
    case events::Transaction::COMMIT_PREPARED:
      return "committed prepared " + transaction.gid();
    case events::Transaction::ROLLBACK_PREPARED:
      return "rolled back prepared " + transaction.gid();
    default:
      return "committed";
  }
}

}  // namespace

Result<DescribedStream> DescribeStream(const std::vector<std::string>& messages) {
  DescribedStream described;
  ShapeTable shapes;
  PgOutputDecoder decoder(shapes);
  std::set<uint64_t> known;
  events::Transaction transaction;
  for (const std::string& message : messages) {
    INDOUBT_ASSIGN_OR_RETURN(const bool given, decoder.Decode(message, transaction));
    if (!given) continue;
    INDOUBT_RETURN_IF_ERROR(ExpandRows(transaction, &shapes));
    for (const uint64_t shape : transaction.shapes()) {
      if (known.insert(shape).second) described.lines.push_back(Describe(*shapes.Find(shape)));
    }
    for (const events::Change& change : transaction.changes()) {
      described.lines.push_back(
          Describe(*FindShape(transaction, &shapes, change.relation_oid()), change));
    }
    described.lines.push_back(DescribeEnd(transaction));
    described.ends.push_back(transaction.commit_end_lsn());
  }
  described.open = decoder.in_transaction();
  return described;
}

}  // namespace indoubt
