// How the workload `shop` is derived on the cdc path: Redis and SQLite follow the
// rows of PostgreSQL's tables orders and item.
//
//   orders, inserted   DECRBY stock:<item>, SET reserved:<order>; a row of entries
//   item, any write    SET price:<item>
//
// Orders are never changed or deleted in this workload; such a change stops the
// view with an error, rather than leave it silently wrong.
#pragma once

namespace indoubt {

/// What `[views.NAME] derivation` calls it.
inline constexpr const char* kShopDerivation = "shop";

/// Makes it known to the CDC worker of this process. Call it before the worker
/// starts; again is harmless.
void RegisterShopDerivation();

}  // namespace indoubt
