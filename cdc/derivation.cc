#include "cdc/derivation.h"

#include <mutex>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cdc/views/row_derivations.h"

namespace indoubt {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, Derivation> known;  // guarded by mutex
};

Registry& TheRegistry() {
  static Registry registry{{}, {{"rows", cdc_internal::RowsDerivation()}}};
  return registry;
}

}  // namespace

const char* ToString(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kInsert:
      return "insert";
    case ChangeKind::kUpdate:
      return "update";
    case ChangeKind::kDelete:
      return "delete";
    case ChangeKind::kTruncate:
      return "truncate";
  }
  return "?";
}

void RegisterDerivation(const std::string& name, Derivation derivation) {
  const std::lock_guard lock(TheRegistry().mutex);
  TheRegistry().known[name] = std::move(derivation);
}

Result<Derivation> FindDerivation(const std::string& name) {
  const std::lock_guard lock(TheRegistry().mutex);
  const auto found = TheRegistry().known.find(name);
  if (found != TheRegistry().known.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, unused] : TheRegistry().known) names.push_back(known);
  return Status(StatusCode::kInvalidArgument,
                fmt::format("there is no derivation \"{}\"; known are {}", name.substr(0, 80),
                            fmt::join(names, ", ")));
}

}  // namespace indoubt
