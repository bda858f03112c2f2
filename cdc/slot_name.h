// Which names PostgreSQL takes for a replication slot.
#pragma once

#include <string_view>

namespace indoubt {

/// Whether it is 1 to 63 of [a-z0-9_].
inline bool IsSlotName(std::string_view name) {
  return !name.empty() && name.size() <= 63 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") ==
             std::string_view::npos;
}

}  // namespace indoubt
