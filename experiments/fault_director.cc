#include "experiments/fault_director.h"

#include <fmt/format.h>

#include "experiments/ndjson.h"

namespace indoubt {
namespace {

std::optional<int64_t> NanosOf(const std::optional<TimePoint>& time) {
  if (!time) return std::nullopt;
  return time->time_since_epoch().count();
}

}  // namespace

FaultDirector::FaultDirector(Path& path, std::optional<FaultPlan> fault, TimePoint measure_from)
    : path_(path), fault_(std::move(fault)), measure_from_(measure_from) {}

Result<std::string> FaultDirector::Step() {
  if (!fault_) return std::string();
  const TimePoint now = SystemClock().Now();
  if (!requested_) {
    if (now < measure_from_ + fault_->at) return std::string();
    INDOUBT_RETURN_IF_ERROR(path_.Strike());
    requested_ = now;
    return path_.victim() + ": to die at " + fault_->point.at(path_.name());
  }
  if (!observed_) {
    observed_ = path_.StruckAt();
    return observed_ ? path_.victim() + " killed" : std::string();
  }
  if (!healed_ && now >= *observed_ + fault_->down) {
    INDOUBT_RETURN_IF_ERROR(Heal());
    return path_.victim() + " restarted";
  }
  return std::string();
}

Status FaultDirector::Heal() {
  INDOUBT_RETURN_IF_ERROR(path_.Restart());
  healed_ = SystemClock().Now();
  return Status::Ok();
}

Status FaultDirector::HealNow() {
  if (!requested_) return Status::Ok();
  if (!observed_) observed_ = path_.StruckAt();
  if (!observed_) {
    warnings_.push_back(fmt::format("{}: the fault at {} was asked for and not observed",
                                    path_.name(), fault_->point.at(path_.name())));
    return Status::Ok();
  }
  return healed_ ? Status::Ok() : Heal();
}

nlohmann::json FaultDirector::Records() const {
  nlohmann::json records = nlohmann::json::array();
  if (!requested_) return records;
  records.push_back({{"kind", fault_->kind},
                     {"target", path_.victim()},
                     {"point", fault_->point.at(path_.name())},
                     {"requested_at_ns", Nanos(NanosOf(requested_))},
                     {"observed_at_ns", Nanos(NanosOf(observed_))},
                     {"healed_at_ns", Nanos(NanosOf(healed_))}});
  return records;
}

}  // namespace indoubt
