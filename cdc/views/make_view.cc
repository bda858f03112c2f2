#include "cdc/views/make_view.h"

#include "cdc/views/redis_view.h"
#include "cdc/views/search_view.h"
#include "cdc/views/sqlite_view.h"

namespace indoubt::cdc_internal {

Result<std::unique_ptr<View>> MakeView(const ViewOptions& options) {
  switch (options.kind) {
    case ViewKind::kRedis:
      return MakeRedisView(options);
    case ViewKind::kSqlite:
      return MakeSqliteView(options);
    case ViewKind::kSearch:
      return MakeSearchView(options);
  }
  return Status(StatusCode::kInternal, "unknown kind of view");
}

std::vector<std::string> BareNames(const std::vector<std::string>& tables) {
  std::vector<std::string> names;
  for (const std::string& table : tables) names.push_back(table.substr(table.rfind('.') + 1));
  return names;
}

}  // namespace indoubt::cdc_internal
