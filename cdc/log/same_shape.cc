#include "cdc/log/same_shape.h"

namespace indoubt::cdc_internal {

bool SameShape(const events::Relation& a, const events::Relation& b) {
  if (a.oid() != b.oid() || a.name() != b.name() || a.schema() != b.schema() ||
      a.columns_size() != b.columns_size()) {
    return false;
  }
  for (int i = 0; i < a.columns_size(); ++i) {
    if (a.columns(i).name() != b.columns(i).name() ||
        a.columns(i).type_oid() != b.columns(i).type_oid() ||
        a.columns(i).key() != b.columns(i).key()) {
      return false;
    }
  }
  return true;
}

}  // namespace indoubt::cdc_internal
