// Which changes of a source table's shape a view may follow. Checked before the view
// sees the first event of the new shape.
#pragma once

#include <string>

#include "base/status.h"
#include "cdc/derivation.h"

namespace indoubt {

/// Of a change of a column's type. A column that was added flows under each rule; one that
/// the view needs and that is gone stops it under each.
enum class SchemaRule {
  kBackward,  // the new type must hold every value of the old one (integer -> bigint)
  kForward,   // the old type must hold every value of the new one (bigint -> integer)
  kFull,      // both (varchar -> text, text -> varchar)
};

/// Parses "backward", "forward", "full"; kInvalidArgument otherwise.
Result<SchemaRule> ParseSchemaRule(const std::string& text);

/// Ok when a view that needs `needs` and has followed `before` can go on with `after`, the
/// same table's next shape. kUnsupported names the column and what became of it.
Status CheckShapeChange(const SourceRelation& before, const SourceRelation& after,
                        const NeededColumns& needs, SchemaRule rule);

}  // namespace indoubt
