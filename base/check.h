// Invariants that stay checked in every build. A failed check is a bug in
// indoubt, never a state of the world: it prints where and why, and aborts.
#pragma once

#include <string>

namespace indoubt {

/// Prints `file:line: check failed: condition (detail)` to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const std::string& detail);

}  // namespace indoubt

/// Aborts when `condition` is false. `detail` says what was expected.
#define INDOUBT_CHECK(condition, detail)                                \
  do {                                                                  \
    if (!(condition)) [[unlikely]]                                      \
      ::indoubt::CheckFailed(__FILE__, __LINE__, #condition, (detail)); \
  } while (false)
