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

}  // namespace

Result<std::unique_ptr<ReplicationStream>> ReplicationStream::Start(const SlotOptions& options,
                                                                    Lsn from,
                                                                    ShapeTable& shapes,
                                                                    const StopSignal& stop,
                                                                    TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.dsn, true, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const SlotFacts slot, ReadSlot(*connection, options.slot, deadline));
  INDOUBT_RETURN_IF_ERROR(CheckSlot(slot, from));
  // The option's value is a list of identifiers inside of a literal.
  const std::string publications =
      connection->Literal(connection->Identifier(options.publication));
  const Status started = connection->StartCopy(
      fmt::format("START_REPLICATION SLOT {} LOGICAL {} ({}, publication_names {})",
                  connection->Identifier(options.slot), from.ToString(),
                  slot.two_phase ? "proto_version '3', two_phase 'on'" : "proto_version '1'",
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
