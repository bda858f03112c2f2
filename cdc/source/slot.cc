#include "cdc/source/slot.h"

#include <fmt/format.h>

namespace indoubt::cdc_internal {
namespace {

// What is missing when the slot cannot go on after `from`.
std::string Gap(Lsn from, Lsn to) {
  return fmt::format(
      "the changes from {} to {} are missing for good; set on_slot_loss = "
      "\"snapshot\" and start again, or remove the event log and the views' data",
      from.ToString(), to.ToString());
}

}  // namespace

Result<SlotFacts> ReadSlot(PgConnection& connection, const std::string& name,
                           TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection.Query("SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "
                       "ELSE pg_current_wal_flush_lsn() END, slot_name, plugin, "
                       "database = current_database(), coalesce(wal_status, 'lost') = 'lost', "
                       "active, two_phase, confirmed_flush_lsn FROM (SELECT 1) AS one "
                       "LEFT JOIN pg_replication_slots ON slot_name = " +
                           connection.Literal(name),
                       deadline));
  if (rows.size() != 1) {
    return Status(StatusCode::kInternal, "cdc source: the server answered with no row");
  }
  const auto& row = rows[0];
  SlotFacts slot;
  slot.name = name;
  INDOUBT_ASSIGN_OR_RETURN(slot.source_end, Lsn::Parse(row[0].value_or("0/0")));
  slot.exists = row[1].has_value();
  slot.plugin = row[2].value_or("");
  slot.of_this_database = row[3] == "t";
  slot.invalidated = slot.exists && row[4] == "t";
  slot.followed = row[5] == "t";
  slot.two_phase = row[6] == "t";
  INDOUBT_ASSIGN_OR_RETURN(slot.confirmed, Lsn::Parse(row[7].value_or("0/0")));
  return slot;
}

Status CheckSlot(const SlotFacts& slot, Lsn from) {
  if (!slot.exists) {
    return Status(StatusCode::kNotFound, fmt::format("replication slot \"{}\" is gone: {}",
                                                     slot.name, Gap(from, slot.source_end)));
  }
  if (slot.plugin != "pgoutput" || !slot.of_this_database) {
    return Status(StatusCode::kRefused,
                  fmt::format("replication slot \"{}\" is not ours (plugin {}, or another "
                              "database); name another slot",
                              slot.name, slot.plugin.empty() ? "none" : slot.plugin));
  }
  if (slot.invalidated) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("replication slot \"{}\" was invalidated by the server "
                              "(max_slot_wal_keep_size): {}",
                              slot.name, Gap(from, slot.source_end)));
  }
  if (slot.source_end < from) {
    return Status(
        StatusCode::kCorrupt,
        fmt::format(
            "the source ends at {}, before the event log, which has {}: it was restored "
            "from an older backup, or is a standby that was behind when it was promoted, "
            "and what it writes now is not what the log has",
            slot.source_end.ToString(), from.ToString()));
  }
  if (slot.confirmed > from) {
    return Status(
        StatusCode::kCorrupt,
        fmt::format("replication slot \"{}\" was moved beyond the event log's end: {}",
                    slot.name, Gap(from, slot.confirmed)));
  }
  return Status::Ok();
}

Status CheckSlot(const SlotOptions& options, Lsn from, const StopSignal& stop,
                 TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const SlotFacts slot, ReadSlot(*connection, options.slot, deadline));
  return CheckSlot(slot, from);
}

Status CheckNoSlot(const SlotFacts& slot) {
  if (!slot.exists) return Status::Ok();
  return Status(StatusCode::kRefused,
                fmt::format("replication slot \"{}\" exists, but the event log is empty: it "
                            "belongs to another log; name another slot, or drop it with "
                            "SELECT pg_drop_replication_slot('{}')",
                            slot.name, slot.name));
}

Status CheckLogsSlot(const std::string& begun, const std::string& name) {
  if (begun == name) return Status::Ok();
  return Status(
      StatusCode::kRefused,
      fmt::format("the event log was begun with slot \"{}\", not \"{}\": name that one in "
                  "[cdc], or another log",
                  begun, name));
}

bool ANewSnapshotHelps(const Status& checked) {
  return checked.code() == StatusCode::kNotFound || checked.code() == StatusCode::kCorrupt;
}

bool SlotIsLost(const Status& status) {
  return status.code() == StatusCode::kNotFound || status.code() == StatusCode::kCorrupt ||
         status.code() == StatusCode::kRefused || status.code() == StatusCode::kUnsupported;
}

}  // namespace indoubt::cdc_internal
