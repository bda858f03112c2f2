// PostgreSQL's write-ahead log as the writes of a trace show it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "tests/support/trace_events.h"

namespace indoubt::testing {

inline bool IsWal(const TraceEvent& event) {
  return event.path.find("/pg_wal/0") != std::string::npos;
}

/// The WAL without its page headers, as far as it was written. Thread-compatible.
class WalText {
 public:
  /// What a write brought, behind the page before it.
  std::string Add(const TraceEvent& write) {
    const size_t first = write.offset / kPage;
    std::string text = first == 0 ? "" : pages_[{write.path, first - 1}];
    for (size_t at = 0; at + kPage <= write.bytes.size(); at += kPage) {
      const bool is_long = (write.bytes[at + 2] & kLongHeaderFlag) != 0;
      const size_t header = is_long ? kLongPageHeader : kShortPageHeader;
      std::string& page = pages_[{write.path, first + at / kPage}];
      page = write.bytes.substr(at + header, kPage - header);
      text += page;
    }
    return text;
  }

 private:
  static constexpr size_t kPage = 8192;
  static constexpr size_t kShortPageHeader = 24, kLongPageHeader = 40;
  static constexpr size_t kLongHeaderFlag = 2;  // in xlp_info, access/xlog_internal.h

  std::map<std::pair<std::string, size_t>, std::string> pages_;
};

}  // namespace indoubt::testing
