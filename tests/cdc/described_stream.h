// What the decoder makes of a stream, as lines for a person and for a comparison: without
// LSNs, xids, OIDs of tables and times, which differ each time the same statements are run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace indoubt {

struct DescribedStream {
  /// "committed", "prepared GID", "committed prepared GID" or "rolled back prepared GID";
  /// before that, the tables that came with a new shape, and each change:
  ///   table public.item: id*:20 note:25        (* in the key; number: the type's OID, if
  ///                                             PostgreSQL comes with it)
  ///   update public.item: key id='1' -> id='2' note=unchanged
  /// An unchanged value that the old key or row has is shown as that.
  std::vector<std::string> lines;
  std::vector<uint64_t> ends;  // commit_end_lsn of each transaction
  bool open = false;           // something has begun and not ended
};

/// The decoder's error, if it has one.
Result<DescribedStream> DescribeStream(const std::vector<std::string>& messages);

}  // namespace indoubt
