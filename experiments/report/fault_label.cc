#include "experiments/report/fault_label.h"

namespace indoubt {
namespace {

std::string FaultWord(const std::string& kind) {
  if (kind == "kill" || kind == "store-kill") return "down";
  if (kind == "pause") return "stopped";
  if (kind == "store-partition") return "cut off";
  if (kind == "store-slow") return "slow";
  if (kind == "store-lock") return "locked";
  if (kind == "disk-full") return "disk full";
  if (kind == "disk-error") return "disk failing";
  if (kind == "disk-slow") return "disk slow";
  return kind;
}

}  // namespace

std::string FaultLabel(const nlohmann::json& fault) {
  return fault.at("target").get<std::string>() + " " +
         FaultWord(fault.at("kind").get<std::string>()) +
         (fault.value("by_hand", false) ? " by hand" : "");
}

}  // namespace indoubt
