#include "experiments/fault_director.h"

#include <utility>

#include <fmt/format.h>

#include "experiments/ndjson.h"

namespace indoubt {
namespace {

std::optional<int64_t> NanosOf(const std::optional<TimePoint>& time) {
  if (!time) return std::nullopt;
  return time->time_since_epoch().count();
}

}  // namespace

FaultDirector::FaultDirector(Fault* fault, FaultPlan plan, TimePoint measure_from)
    : fault_(fault), plan_(std::move(plan)), measure_from_(measure_from) {}

Result<std::string> FaultDirector::Step() {
  if (fault_ == nullptr) return std::string();
  const TimePoint now = SystemClock().Now();
  if (!requested_) {
    if (now < measure_from_ + plan_.at) return std::string();
    requested_ = now;
    INDOUBT_RETURN_IF_ERROR(fault_->Strike());
    observed_ = fault_->StruckAt();
    if (observed_) return fault_->target() + " " + fault_->struck_word();
    return fmt::format("{}: {} is asked for{}", fault_->target(), plan_.kind,
                       fault_->point().empty() ? "" : " at " + fault_->point());
  }
  if (!observed_) {
    observed_ = fault_->StruckAt();
    return observed_ ? fault_->target() + " " + fault_->struck_word() : std::string();
  }
  if (!healed_ && now >= *observed_ + plan_.down) {
    INDOUBT_RETURN_IF_ERROR(Heal());
    return fault_->target() + " " + fault_->healed_word();
  }
  return std::string();
}

std::string FaultDirector::Active() const {
  return observed_ && !healed_ ? fault_->target() + " " + fault_->struck_word() : "";
}

bool FaultDirector::Strikes(const std::string& target) const {
  return fault_ != nullptr && fault_->target() == target;
}

bool FaultDirector::Breaks(const std::string& target) const {
  return Strikes(target) && requested_ && !healed_;
}

std::string FaultDirector::PointToArm() const {
  return fault_ != nullptr && plan_.kind == "kill" && !requested_ ? fault_->point() : "";
}

Status FaultDirector::Heal() {
  INDOUBT_RETURN_IF_ERROR(fault_->Heal());
  healed_ = SystemClock().Now();
  return Status::Ok();
}

Status FaultDirector::HealNow() {
  if (!requested_) return Status::Ok();
  if (!observed_) {
    INDOUBT_RETURN_IF_ERROR(fault_->Withdraw());
    observed_ = fault_->StruckAt();  // it may have acted just before
  }
  if (!observed_) {
    warnings_.push_back(fmt::format("{}: the fault {}{} was asked for and not observed",
                                    fault_->target(), plan_.kind,
                                    fault_->point().empty() ? "" : " at " + fault_->point()));
    return Status::Ok();
  }
  return healed_ ? Status::Ok() : Heal();
}

nlohmann::json FaultDirector::Records() const {
  nlohmann::json records = nlohmann::json::array();
  if (!requested_) return records;
  const std::string point = fault_->point();
  records.push_back({{"kind", plan_.kind},
                     {"target", fault_->target()},
                     {"point", point.empty() ? nlohmann::json(nullptr) : nlohmann::json(point)},
                     {"by_hand", false},
                     {"requested_at_ns", Nanos(NanosOf(requested_))},
                     {"observed_at_ns", Nanos(NanosOf(observed_))},
                     {"healed_at_ns", Nanos(NanosOf(healed_))}});
  return records;
}

}  // namespace indoubt
