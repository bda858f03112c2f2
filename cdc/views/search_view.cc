#include "cdc/views/search_view.h"

#include <fmt/format.h>

#include "cdc/views/search_index.h"
#include "cdc/views/sqlite_view.h"

namespace indoubt {

Result<std::unique_ptr<View>> MakeSearchView(const ViewOptions& options) {
  if (!options.derivation.sqlite_table) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("view {}: a search view needs a derivation whose tables follow "
                              "the source's, such as \"rows\"",
                              options.name));
  }
  INDOUBT_RETURN_IF_ERROR(cdc_internal::CheckFts5().WithContext("view " + options.name));
  return MakeSqliteView(options);
}

}  // namespace indoubt
