// How long, and how much, the event log keeps of what every view has applied.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace indoubt {

/// What to do about a view that is further behind than the log is to keep events.
enum class OnViewLag {
  kHold,  // keep them for it
  kStop,  // remove them: it stops, and is brought back by a rebuild
};

/// An event goes when either limit says so; with neither, all stay. What a rebuild or a view's
/// first copy still needs stays in any case.
struct RetentionOptions {
  std::optional<Duration> time;   // since the source committed it, by this machine's clock
  std::optional<uint64_t> bytes;  // of the log's file that are in use
  OnViewLag on_view_lag = OnViewLag::kHold;

  bool compact = false;  // by key, what every view has applied

  bool removes() const { return time || bytes || compact; }
};

}  // namespace indoubt
