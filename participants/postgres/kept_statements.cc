#include "participants/postgres/kept_statements.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace indoubt::pg {
namespace {

constexpr size_t kMostSeenOnce = 256;

/// Whether an error may come from a plan made before the schema changed: 0A "cached plan must
/// not change result type", 22 a value that the old type does not take, 42 whatever is not
/// there any more.
bool MayBeStale(std::string_view sqlstate) {
  const std::string_view kind = sqlstate.substr(0, 2);
  return kind == "0A" || kind == "22" || kind == "42";
}

std::string KeyOf(const std::string& text, const std::vector<Oid>& types) {
  // A text holds no NUL byte.
  return fmt::format("{}{}{}", text, '\0', fmt::join(types, ","));
}

}  // namespace

KeptStatements::Found KeptStatements::Find(const std::string& text,
                                           const std::vector<Oid>& types) {
  const std::string key = KeyOf(text, types);
  ++clock_;
  if (const auto known = kept_.find(key); known != kept_.end()) {
    if (now_ - known->second.parsed < kLife) {
      known->second.used = clock_;
      return {.name = known->second.name};
    }
    let_go_.push_back(known->second.name);
    kept_.erase(known);
  } else if (seen_once_.erase(key) == 0) {
    if (seen_once_.size() >= kMostSeenOnce) seen_once_.clear();
    seen_once_.insert(key);
    return {};
  }
  if (!MakeRoom()) return {};
  const std::string name = fmt::format("indoubt_{}", clock_);
  kept_.emplace(key, Kept{name, clock_, now_});
  return {.name = name, .parse = true, .let_go = std::exchange(let_go_, {})};
}

bool KeptStatements::MakeRoom() {
  if (kept_.size() < kMostKept) return true;
  const auto oldest = std::min_element(
      kept_.begin(), kept_.end(),
      [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  if (oldest->second.used > script_began_) return false;
  let_go_.push_back(oldest->second.name);
  kept_.erase(oldest);
  return true;
}

KeptStatements::ByKey::iterator KeptStatements::Named(const std::string& name) {
  return std::find_if(kept_.begin(), kept_.end(),
                      [&name](const auto& kept) { return kept.second.name == name; });
}

void KeptStatements::NotPrepared(const std::string& name) {
  if (const auto found = Named(name); found != kept_.end()) kept_.erase(found);
}

void KeptStatements::Failed(const std::string& name, const std::string& sqlstate) {
  if (sqlstate == kNoSuchStatement) {
    kept_.clear();
    let_go_.clear();
    return;
  }
  const auto found = Named(name);
  if (found == kept_.end() || !MayBeStale(sqlstate)) return;
  let_go_.push_back(name);
  kept_.erase(found);
}

}  // namespace indoubt::pg
