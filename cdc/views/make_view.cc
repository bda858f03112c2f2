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

}  // namespace indoubt::cdc_internal
