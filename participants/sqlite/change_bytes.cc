// A change set as bytes, which table indoubt_branch keeps (docs/sqlite.md has the format).
#include <cstring>

#include "participants/sqlite/change_set.h"

namespace indoubt::sqlite {
namespace {

constexpr char kFormatVersion = '1';

void PutNumber(std::string& out, uint64_t number) {
  char bytes[8];
  std::memcpy(bytes, &number,
              sizeof bytes);  // little-endian machines only, as SQLite files are local
  out.append(bytes, sizeof bytes);
}

void PutBytes(std::string& out, std::string_view bytes) {
  PutNumber(out, bytes.size());
  out += bytes;
}

void PutValue(std::string& out, const SqlValue& value) {
  out += static_cast<char>('0' + value.index());
  if (const auto* number = std::get_if<int64_t>(&value)) {
    PutNumber(out, static_cast<uint64_t>(*number));
  } else if (const auto* real = std::get_if<double>(&value)) {
    uint64_t bits = 0;
    std::memcpy(&bits, real, sizeof bits);
    PutNumber(out, bits);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    PutBytes(out, *text);
  } else if (const auto* blob = std::get_if<Blob>(&value)) {
    PutBytes(out, blob->bytes);
  }
}

void PutRow(std::string& out, const std::optional<Row>& row) {
  PutNumber(out, row ? row->size() + 1 : 0);
  if (!row) return;
  for (const SqlValue& value : *row) PutValue(out, value);
}

/// Reads what the Put functions wrote; once out of bytes it stays failed.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool AtEnd() const { return rest_.empty(); }

  std::string_view Take(uint64_t size) {
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint64_t Number() {
    const std::string_view bytes = Take(8);
    uint64_t number = 0;
    if (ok_) std::memcpy(&number, bytes.data(), sizeof number);
    return number;
  }
  SqlValue Value() {
    const std::string_view tag = Take(1);
    if (!ok_) return {};
    switch (tag[0]) {
      case '0':
        return std::monostate();
      case '1':
        return static_cast<int64_t>(Number());
      case '2': {
        const uint64_t bits = Number();
        double real = 0;
        std::memcpy(&real, &bits, sizeof real);
        return real;
      }
      case '3':
        return std::string(Take(Number()));
      case '4':
        return Blob{std::string(Take(Number()))};
      default:
        ok_ = false;
        return {};
    }
  }
  std::optional<Row> ReadRow() {
    const uint64_t size = Number();
    if (size == 0 || !ok_) return std::nullopt;
    Row row;
    for (uint64_t i = 1; i < size && ok_; ++i) row.push_back(Value());
    return row;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::string EncodeChanges(const ChangeSet& changes) {
  std::string out(1, kFormatVersion);
  PutNumber(out, changes.size());
  for (const RowChange& change : changes) {
    PutBytes(out, change.table);
    PutRow(out, change.before);
    PutRow(out, change.after);
  }
  return out;
}

Result<ChangeSet> DecodeChanges(std::string_view bytes) {
  Reader reader(bytes);
  ChangeSet changes;
  const bool known = reader.Take(1) == std::string_view(&kFormatVersion, 1);
  const uint64_t count = reader.Number();
  bool good = known;
  for (uint64_t i = 0; i < count && reader.ok() && good; ++i) {
    RowChange change;
    change.table = std::string(reader.Take(reader.Number()));
    change.before = reader.ReadRow();
    change.after = reader.ReadRow();
    good = change.before || change.after;
    if (change.before && change.after) good = change.before->size() == change.after->size();
    changes.push_back(std::move(change));
  }
  if (!good || !reader.ok() || !reader.AtEnd()) {
    return Status(StatusCode::kCorrupt,
                  "the stored changes of a branch are damaged; its column redo may still help");
  }
  return changes;
}

}  // namespace indoubt::sqlite
