// events.ndjson of a repetition: what it went through, and when.
#pragma once

#include <memory>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/status.h"
#include "experiments/ndjson.h"

namespace indoubt {

/// Written as it happens, so that a repetition that is cut off still tells what was broken.
/// Use from one thread.
class EventRecord {
 public:
  static Result<std::unique_ptr<EventRecord>> Create(const std::string& path);

  /// The repetition is in another phase since `at`; the one that it is in already is none.
  void Phase(const std::string& phase, TimePoint at);
  /// `faults`, as rep.json has them: writes what was not known the last time.
  void Faults(const nlohmann::json& faults);
  Status Close() { return file_->Close(); }

 private:
  explicit EventRecord(std::unique_ptr<NdjsonFile> file) : file_(std::move(file)) {}

  const std::unique_ptr<NdjsonFile> file_;
  std::string phase_;
  std::set<std::string> written_;  // lines about faults
};

}  // namespace indoubt
