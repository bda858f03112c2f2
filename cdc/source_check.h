// Whether a PostgreSQL can be the source of a derived path, before anything is made there.
#pragma once

#include "base/clock.h"
#include "base/status.h"
#include "cdc/worker.h"
#include "participants/participant.h"

namespace indoubt {

/// Looks, and changes nothing: version, wal_level, the role's rights, the tables and their
/// replica identities, the slot, when it is there, and room for slot and walsender.
/// Problems are what CdcWorker::Start, or the source's own writers after it, would fail with;
/// each names the remedy. A prepared transaction that making the slot would wait for is a
/// warning, and that there is no room for another slot and walsender, as a rebuild needs them.
/// kUnavailable or kInvalidArgument (a DSN that cannot be parsed) when there is nobody to ask,
/// kDeadlineExceeded when it has not answered by `deadline`. Source: PostgreSQL's
/// documentation, "Logical Decoding" and "Logical Replication".
Result<PreflightReport> CheckCdcSource(const CdcOptions& options, TimePoint deadline);

}  // namespace indoubt
