#include "cdc/source/replication_stream.h"

#include <chrono>

#include <fmt/format.h>

namespace indoubt::cdc_internal {
namespace {

// How long a huge transaction may keep Read busy: the caller has to confirm in time.
constexpr std::chrono::seconds kYieldAfter{1};
constexpr uint64_t kLookAtClockEvery = 256;  // messages

uint64_t BigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

void AppendBigEndian(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

// The protocol's time: microseconds since 2000-01-01 UTC.
int64_t PostgresMicrosNow() {
  constexpr int64_t kUnixToPostgresSeconds = 946'684'800;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count() -
         kUnixToPostgresSeconds * 1'000'000;
}

// What is missing when the slot cannot go on after `from`.
std::string Gap(Lsn from, Lsn to) {
  return fmt::format(
      "the changes from {} to {} are missing for good; set on_slot_loss = "
      "\"snapshot\" and start again, or remove the event log and the views' data",
      from.ToString(), to.ToString());
}

Result<Lsn> SourceEnd(PgConnection& connection, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(const PgRows rows,
                           connection.Query("SELECT pg_current_wal_flush_lsn()", deadline));
  return Lsn::Parse(rows.empty() ? "" : rows[0][0].value_or(""));
}

// Whether the slot decodes in two phases.
Result<bool> CheckSlot(PgConnection& connection, const SlotOptions& options, Lsn from,
                       TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection.Query("SELECT plugin, database = current_database(), "
                       "coalesce(wal_status, 'lost'), confirmed_flush_lsn, two_phase "
                       "FROM pg_replication_slots WHERE slot_name = " +
                           connection.Literal(options.slot),
                       deadline));
  if (rows.empty()) {
    INDOUBT_ASSIGN_OR_RETURN(const Lsn end, SourceEnd(connection, deadline));
    return Status(StatusCode::kNotFound, fmt::format("replication slot \"{}\" is gone: {}",
                                                     options.slot, Gap(from, end)));
  }
  const auto& row = rows[0];
  if (row[0] != "pgoutput" || row[1] != "t") {
    return Status(StatusCode::kRefused,
                  fmt::format("replication slot \"{}\" is not ours (plugin {}, or another "
                              "database); name another slot",
                              options.slot, row[0].value_or("none")));
  }
  if (row[2] == "lost") {
    INDOUBT_ASSIGN_OR_RETURN(const Lsn end, SourceEnd(connection, deadline));
    return Status(StatusCode::kCorrupt,
                  fmt::format("replication slot \"{}\" was invalidated by the server "
                              "(max_slot_wal_keep_size): {}",
                              options.slot, Gap(from, end)));
  }
  INDOUBT_ASSIGN_OR_RETURN(const Lsn confirmed, Lsn::Parse(row[3].value_or("0/0")));
  if (confirmed > from) {
    return Status(
        StatusCode::kCorrupt,
        fmt::format("replication slot \"{}\" was moved beyond the event log's end: {}",
                    options.slot, Gap(from, confirmed)));
  }
  return row[4] == "t";
}

}  // namespace

Status CheckSlot(const SlotOptions& options, Lsn from, const StopSignal& stop,
                 TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  return CheckSlot(*connection, options, from, deadline).status();
}

bool ANewSnapshotHelps(const Status& checked) {
  return checked.code() == StatusCode::kNotFound || checked.code() == StatusCode::kCorrupt;
}

bool SlotIsLost(const Status& status) {
  return status.code() == StatusCode::kNotFound || status.code() == StatusCode::kCorrupt ||
         status.code() == StatusCode::kRefused || status.code() == StatusCode::kUnsupported;
}

Result<std::unique_ptr<ReplicationStream>> ReplicationStream::Start(const SlotOptions& options,
                                                                    Lsn from,
                                                                    ShapeTable& shapes,
                                                                    const StopSignal& stop,
                                                                    TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.dsn, true, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const bool two_phase,
                           CheckSlot(*connection, options, from, deadline));
  // The option's value is a list of identifiers inside of a literal.
  const std::string publications =
      connection->Literal(connection->Identifier(options.publication));
  const Status started = connection->StartCopy(
      fmt::format("START_REPLICATION SLOT {} LOGICAL {} ({}, publication_names {})",
                  connection->Identifier(options.slot), from.ToString(),
                  two_phase ? "proto_version '3', two_phase 'on'" : "proto_version '1'",
                  publications),
      deadline);
  if (!started.ok()) {
    // Lost after the check above: that the slot is gone says less than what is missing.
    const Status again = CheckSlot(options, from, stop, deadline);
    return SlotIsLost(again) ? again : started;
  }
  return std::unique_ptr<ReplicationStream>(
      new ReplicationStream(std::move(connection), shapes));
}

Result<std::optional<ReplicationStream::Message>> ReplicationStream::Read(
    TimePoint deadline, int wake, events::Transaction& into) {
  std::optional<TimePoint> yield_at;
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const std::optional<std::string_view> bytes,
                             connection_->ReadCopy(deadline, wake));
    if (!bytes) return std::optional<Message>();
    ++messages_;
    bytes_ += bytes->size();
    const std::string_view view = *bytes;
    Message message;
    if (view.starts_with('k') && view.size() == 18) {
      // All that was committed before is sent, unless we are in the midst of one.
      if (!decoder_.in_transaction()) message.sent = Lsn{BigEndian(view.substr(1, 8))};
      message.reply_requested = view[17] != 0;
      return std::optional(std::move(message));
    }
    if (!view.starts_with('w') || view.size() < 25) {
      return Status(StatusCode::kCorrupt,
                    "the source sent a message that is not of the replication protocol");
    }
    INDOUBT_ASSIGN_OR_RETURN(message.transaction, decoder_.Decode(view.substr(25), into));
    if (message.transaction) {
      if (into.part() == 0) message.sent = Lsn{into.commit_end_lsn()};
      message.bytes = std::exchange(bytes_, 0);
      return std::optional(std::move(message));
    }
    if (messages_ % kLookAtClockEvery != 0) continue;
    const TimePoint now = SystemClock().Now();
    if (!yield_at) yield_at = now + kYieldAfter;
    if (now >= *yield_at) return std::optional(std::move(message));
  }
}

Status ReplicationStream::Confirm(Lsn durable, bool ask, TimePoint deadline) {
  std::string update = "r";
  for (int i = 0; i < 3; ++i)
    AppendBigEndian(update, durable.value);  // written, flushed, applied
  AppendBigEndian(update, static_cast<uint64_t>(PostgresMicrosNow()));
  update.push_back(ask ? 1 : 0);
  return connection_->WriteCopy(update, deadline);
}

}  // namespace indoubt::cdc_internal
