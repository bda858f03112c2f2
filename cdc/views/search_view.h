// A SQLite file as a search view: the tables of a SQLite view, and beside each a full-text
// index, "<table>_search", to MATCH against. What a SQLite view promises, this does.
#pragma once

#include <memory>

#include "base/status.h"
#include "cdc/view.h"
#include "cdc/worker.h"

namespace indoubt {

/// Opens nothing yet. kInvalidArgument as MakeSqliteView, and for a derivation whose tables do
/// not follow the source's (no Derivation::sqlite_table): there is nothing to index.
/// kUnsupported when the SQLite library has no FTS5.
Result<std::unique_ptr<View>> MakeSearchView(const ViewOptions& options);

}  // namespace indoubt
