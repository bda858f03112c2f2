#include "cdc/source/pgoutput.h"

#include <algorithm>

#include <fmt/format.h>

namespace indoubt {
namespace {

// More than PostgreSQL allows (1600); bounds what a broken message can make us keep.
constexpr size_t kMaxColumns = 4096;

Status Corrupt(std::string_view what) {
  return Status(StatusCode::kCorrupt, fmt::format("pgoutput: {}", what));
}

}  // namespace

// Big-endian reads with one sticky failure, checked once a message.
class PgOutputDecoder::Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  uint64_t Unsigned(size_t width) {
    const std::string_view raw = Bytes(width);
    uint64_t value = 0;
    for (const char byte : raw) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  uint8_t U8() { return static_cast<uint8_t>(Unsigned(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Unsigned(2)); }
  uint32_t U32() { return static_cast<uint32_t>(Unsigned(4)); }
  uint64_t U64() { return Unsigned(8); }

  std::string_view Bytes(size_t length) {
    if (failed_ || bytes_.size() < length) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return taken;
  }
  std::string_view CString() {
    const size_t end = bytes_.find('\0');
    if (failed_ || end == std::string_view::npos) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, end);
    bytes_.remove_prefix(end + 1);
    return taken;
  }

  bool failed() const { return failed_; }
  /// What was not read yet.
  std::string_view rest() const { return bytes_; }
  /// Ok when exactly all bytes were read.
  Status Finished() const {
    if (failed_) return Corrupt("message is cut short");
    if (!bytes_.empty()) return Corrupt("message has bytes behind its end");
    return Status::Ok();
  }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

Result<bool> PgOutputDecoder::Decode(std::string_view message, events::Transaction& out) {
  if (message.empty()) return Corrupt("empty message");
  Reader reader(message.substr(1));
  Status status;
  switch (message[0]) {
    case 'B':
      status = Begin(reader);
      break;
    case 'b':
      status = BeginPrepare(reader);
      break;
    case 'C':
    case 'P':
    case 'K':
    case 'r': {
      INDOUBT_RETURN_IF_ERROR(End(message[0], reader, out));
      return true;
    }
    case 'R':
      status = Relation(reader);
      break;
    case 'I':
      status = Insert(reader);
      break;
    case 'U':
      status = Update(reader);
      break;
    case 'D':
      status = Delete(reader);
      break;
    case 'T':
      status = Truncate(reader);
      break;
    // An origin, a type's name, a logical message: nothing that a view is made of.
    case 'O':
    case 'Y':
    case 'M':
      return false;
    case 'S':
    case 'E':
    case 'c':
    case 'A':
    case 'p':
      return Status(StatusCode::kUnsupported,
                    fmt::format("pgoutput: message '{}' belongs to the streaming of running "
                                "transactions, which was not asked for",
                                message[0]));
    default:
      return Corrupt(
          fmt::format("unknown message type 0x{:02x}", static_cast<unsigned char>(message[0])));
  }
  if (!status.ok()) return status;
  INDOUBT_RETURN_IF_ERROR(reader.Finished());
  INDOUBT_RETURN_IF_ERROR(CheckPrepared());
  return TakePart(out);
}

Status PgOutputDecoder::CheckPrepared() const {
  if (!is_open_ || !preparing_ || open_bytes_ <= kMaxPreparedBytes) return Status::Ok();
  return Status(StatusCode::kUnsupported,
                fmt::format("prepared transaction {} has more than {} MiB of changes; drop "
                            "the slot and begin with a new event log, and write in smaller "
                            "transactions",
                            open_.xid(), kMaxPreparedBytes >> 20));
}

bool PgOutputDecoder::TakePart(events::Transaction& out) {
  if (!is_open_ || preparing_ || (open_bytes_ < kPartBytes && !part_due_)) return false;
  out.Swap(&open_);
  out.set_commit_end_lsn(begin_final_lsn_);
  out.set_part(++parts_);
  Open();
  open_.set_commit_micros(out.commit_micros());
  open_.set_xid(out.xid());
  return true;
}

Status PgOutputDecoder::End(char message, Reader& reader, events::Transaction& out) {
  switch (message) {
    case 'C':
      return Commit(reader, out);
    case 'P':
      return Prepare(reader, out);
    case 'K':
      return FinishPrepared(reader, events::Transaction::COMMIT_PREPARED, out);
    default:
      return FinishPrepared(reader, events::Transaction::ROLLBACK_PREPARED, out);
  }
}

void PgOutputDecoder::Open() {
  open_.Clear();
  is_open_ = true;
  open_bytes_ = 0;
  part_due_ = false;
}

Status PgOutputDecoder::Begin(Reader& reader) {
  if (is_open_) return Corrupt("begin inside of a transaction");
  begin_final_lsn_ = reader.U64();
  Open();
  open_.set_commit_micros(static_cast<int64_t>(reader.U64()));
  open_.set_xid(reader.U32());
  preparing_ = false;
  parts_ = 0;
  return Status::Ok();
}

Status PgOutputDecoder::BeginPrepare(Reader& reader) {
  if (is_open_) return Corrupt("begin prepare inside of a transaction");
  begin_final_lsn_ = reader.U64();
  Open();
  open_.set_commit_end_lsn(reader.U64());
  open_.set_commit_micros(static_cast<int64_t>(reader.U64()));
  open_.set_xid(reader.U32());
  open_.set_gid(std::string(reader.CString()));
  open_.set_phase(events::Transaction::PREPARED);
  preparing_ = true;
  parts_ = 0;
  return Status::Ok();
}

Status PgOutputDecoder::Prepare(Reader& reader, events::Transaction& out) {
  if (!is_open_ || !preparing_) return Corrupt("prepare without its begin");
  reader.U8();  // flags, unused
  const uint64_t prepare_lsn = reader.U64();
  const uint64_t end_lsn = reader.U64();
  reader.U64();  // its time again
  reader.U32();  // its xid again
  const std::string_view gid = reader.CString();
  INDOUBT_RETURN_IF_ERROR(reader.Finished());
  if (prepare_lsn != begin_final_lsn_ || end_lsn != open_.commit_end_lsn() ||
      end_lsn <= prepare_lsn || gid != open_.gid() || gid.empty()) {
    return Corrupt("prepare does not belong to its begin");
  }
  out.Swap(&open_);
  is_open_ = false;
  return Status::Ok();
}

Status PgOutputDecoder::FinishPrepared(Reader& reader, events::Transaction::Phase how,
                                       events::Transaction& out) {
  if (is_open_) return Corrupt("end of a prepared transaction inside of another");
  out.Clear();
  out.set_phase(how);
  reader.U8();                         // flags, unused
  const uint64_t from = reader.U64();  // commit: its record; rollback: the prepare's end
  out.set_commit_end_lsn(reader.U64());
  if (how == events::Transaction::ROLLBACK_PREPARED) reader.U64();  // the prepare's time
  out.set_commit_micros(static_cast<int64_t>(reader.U64()));
  out.set_xid(reader.U32());
  out.set_gid(std::string(reader.CString()));
  INDOUBT_RETURN_IF_ERROR(reader.Finished());
  if (out.commit_end_lsn() <= from || out.gid().empty()) {
    return Corrupt("end of a prepared transaction that cannot be");
  }
  return Status::Ok();
}

Status PgOutputDecoder::Commit(Reader& reader, events::Transaction& out) {
  if (!is_open_ || preparing_) return Corrupt("commit without a begin");
  reader.U8();  // flags, unused
  const uint64_t commit_lsn = reader.U64();
  const uint64_t end_lsn = reader.U64();
  reader.U64();  // the commit's time again
  INDOUBT_RETURN_IF_ERROR(reader.Finished());
  if (commit_lsn != begin_final_lsn_ || end_lsn <= commit_lsn) {
    return Corrupt("commit does not belong to its begin");
  }
  open_.set_commit_end_lsn(end_lsn);
  out.Swap(&open_);
  is_open_ = false;
  return Status::Ok();
}

Status PgOutputDecoder::Relation(Reader& reader) {
  events::Relation relation;
  relation.set_oid(reader.U32());
  const std::string_view schema = reader.CString();
  relation.set_schema(schema.empty() ? "pg_catalog" : std::string(schema));
  relation.set_name(std::string(reader.CString()));
  reader.U8();  // replica identity; the columns' flags say what matters of it
  const size_t count = reader.U16();
  if (count > kMaxColumns) return Corrupt("relation has too many columns");
  for (size_t i = 0; i < count && !reader.failed(); ++i) {
    events::Column* column = relation.add_columns();
    column->set_key((reader.U8() & 1) != 0);
    column->set_name(std::string(reader.CString()));
    column->set_type_oid(reader.U32());
    reader.U32();  // type modifier
  }
  INDOUBT_RETURN_IF_ERROR(reader.Finished());
  const uint64_t number = shapes_.NumberOf(relation);
  const auto named = [this](uint64_t shape) {
    const auto& all = open_.shapes();
    return is_open_ && std::find(all.begin(), all.end(), shape) != all.end();
  };
  const auto old = relations_.find(relation.oid());
  if (old != relations_.end() && old->second.number != number && named(old->second.number)) {
    // Changes so far were made with the old shape; one event has one shape a table.
    // PostgreSQL sends a new shape within a transaction only after DDL in it.
    if (preparing_) {
      return Status(StatusCode::kUnsupported,
                    fmt::format("table {}.{} changed its shape between two changes of prepared "
                                "transaction \"{}\"; drop the slot and begin with a new event "
                                "log, and change shapes in transactions of their own",
                                relation.schema(), relation.name(), open_.gid()));
    }
    part_due_ = true;
  }
  relations_[relation.oid()] = {number, count};
  changed_ = nullptr;
  return Status::Ok();
}

Result<events::Change*> PgOutputDecoder::NewChange(uint32_t relation_oid,
                                                   events::Change::Kind kind) {
  if (!is_open_) return Corrupt("row change outside of a transaction");
  if (changed_ == nullptr || changed_oid_ != relation_oid) {
    const auto found = relations_.find(relation_oid);
    if (found == relations_.end()) {
      return Corrupt(
          fmt::format("row change of relation {}, whose shape never came", relation_oid));
    }
    changed_oid_ = relation_oid;
    changed_ = &found->second;
  }
  const auto& named = open_.shapes();
  if (std::find(named.begin(), named.end(), changed_->number) == named.end()) {
    open_.add_shapes(changed_->number);
  }
  events::Change* change = open_.add_changes();
  change->set_kind(kind);
  change->set_relation_oid(relation_oid);
  open_bytes_ += sizeof(events::Change);
  return change;
}

Status PgOutputDecoder::ReadRow(Reader& reader, std::string* tuple) {
  const std::string_view rest = reader.rest();
  const size_t count = reader.U16();
  if (reader.failed()) return Corrupt("row is cut short");
  if (count != changed_->columns) {
    return Corrupt("row has not as many values as its relation has columns");
  }
  for (size_t i = 0; i < count; ++i) {
    const uint8_t form = reader.U8();
    if (reader.failed()) return Corrupt("row is cut short");
    if (form == 't') {
      reader.Bytes(reader.U32());
    } else if (form != 'n' && form != 'u') {
      return Corrupt(fmt::format("value of unknown form 0x{:02x}", form));
    }
  }
  if (reader.failed()) return Corrupt("row is cut short");
  tuple->assign(rest.data(), rest.size() - reader.rest().size());
  open_bytes_ += tuple->size();
  return Status::Ok();
}

Status PgOutputDecoder::Insert(Reader& reader) {
  const uint32_t oid = reader.U32();
  INDOUBT_ASSIGN_OR_RETURN(events::Change * change, NewChange(oid, events::Change::INSERT));
  if (reader.U8() != 'N') return Corrupt("insert without a new row");
  return ReadRow(reader, change->mutable_after_tuple());
}

Status PgOutputDecoder::Update(Reader& reader) {
  const uint32_t oid = reader.U32();
  INDOUBT_ASSIGN_OR_RETURN(events::Change * change, NewChange(oid, events::Change::UPDATE));
  uint8_t part = reader.U8();
  if (part == 'K' || part == 'O') {
    INDOUBT_RETURN_IF_ERROR(ReadRow(reader, change->mutable_before_tuple()));
    change->set_before_is_key(part == 'K');
    part = reader.U8();
  }
  if (part != 'N') return Corrupt("update without a new row");
  return ReadRow(reader, change->mutable_after_tuple());
}

Status PgOutputDecoder::Delete(Reader& reader) {
  const uint32_t oid = reader.U32();
  INDOUBT_ASSIGN_OR_RETURN(events::Change * change, NewChange(oid, events::Change::DELETE));
  const uint8_t part = reader.U8();
  if (part != 'K' && part != 'O') return Corrupt("delete without an old row");
  change->set_before_is_key(part == 'K');
  return ReadRow(reader, change->mutable_before_tuple());
}

Status PgOutputDecoder::Truncate(Reader& reader) {
  const uint32_t count = reader.U32();
  reader.U8();  // CASCADE, RESTART IDENTITY: the relations named are all there are
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t oid = reader.U32();
    if (reader.failed()) return Corrupt("truncate is cut short");
    INDOUBT_RETURN_IF_ERROR(NewChange(oid, events::Change::TRUNCATE).status());
  }
  return Status::Ok();
}

}  // namespace indoubt
