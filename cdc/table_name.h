// Names of the source's tables as the configuration gives them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace indoubt {

/// The table's own name in `text`, read as PostgreSQL's to_regclass reads it: "orders" of
/// `orders`, `shop.Orders` and `"orders"`, "Order Items" of `shop."Order Items"`. So it is what
/// the stream calls the table. kInvalidArgument for what is no such name, for one that
/// PostgreSQL would cut (63 bytes), and for a bare number, which may mean an oid.
Result<std::string> BareTableName(std::string_view text);

/// That of each. kInvalidArgument also where two have the same: views hold a table under its
/// own name; and for "indoubt" and what begins with "indoubt_".
Result<std::vector<std::string>> BareTableNames(const std::vector<std::string>& tables);

}  // namespace indoubt
