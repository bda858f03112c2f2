#include "experiments/summary/environment_difference.h"

#include <fmt/format.h>

namespace indoubt {
namespace {

using nlohmann::json;

// A disk that syncs this many times slower is another disk.
constexpr double kOtherDisk = 2;

json ValueAt(const json& document, const std::string& pointer) {
  return document.is_object() ? document.value(json::json_pointer(pointer), json()) : json();
}

void AddOtherDisk(const json& one, const std::string& one_name, const json& other,
                  const std::string& other_name, std::vector<std::string>& found) {
  const json left = ValueAt(one, "/fdatasync_us/p50"),
             right = ValueAt(other, "/fdatasync_us/p50");
  if (!left.is_number() || !right.is_number()) return;
  const double before = left.get<double>(), after = right.get<double>();
  if (before <= 0 || after <= 0) return;
  if (before / after <= kOtherDisk && after / before <= kOtherDisk) return;
  found.push_back(
      fmt::format("fdatasync took {:.0f} us before {} and {:.0f} us before {}: the disk alone "
                  "may make the difference",
                  before, one_name, after, other_name));
}

}  // namespace

void AddDifference(const json& one, const json& other, const std::string& pointer,
                   const std::string& name, std::vector<std::string>& found) {
  const json left = ValueAt(one, pointer), right = ValueAt(other, pointer);
  if (left == right) return;
  const auto text = [](const json& value) {
    return value.is_null() ? "unknown" : value.dump();
  };
  found.push_back(fmt::format("{} is {} and {}", name, text(left), text(right)));
}

EnvironmentDifferences CompareEnvironments(const json& one, const std::string& one_name,
                                           const json& other, const std::string& other_name) {
  EnvironmentDifferences found;
  for (const std::string store : {"postgres", "redis", "sqlite"}) {
    AddDifference(one, other, "/durability/" + store, "the durability of " + store,
                  found.durability);
    AddDifference(one, other, "/versions/" + store, "the version of " + store, found.versions);
  }
  for (const std::string name : {"build", "cpu", "cores", "filesystem"}) {
    AddDifference(one, other, "/" + name, "env." + name, found.machine);
  }
  for (const std::string name : {"kernel", "memory_gib"}) {
    AddDifference(one, other, "/" + name, "env." + name, found.doubtful);
  }
  AddOtherDisk(one, one_name, other, other_name, found.doubtful);
  return found;
}

}  // namespace indoubt
