#include "cdc/log/shape_table.h"

#include "cdc/log/same_shape.h"

namespace indoubt {

uint64_t ShapeTable::NumberOf(const events::Relation& shape) {
  const std::lock_guard lock(mutex_);
  for (const auto& [number, known] : shapes_) {
    if (cdc_internal::SameShape(known, shape)) return number;
  }
  const uint64_t number = shapes_.empty() ? 1 : shapes_.rbegin()->first + 1;
  shapes_.emplace(number, shape);
  return number;
}

bool ShapeTable::Put(uint64_t number, const events::Relation& shape) {
  const std::lock_guard lock(mutex_);
  const auto [place, fresh] = shapes_.try_emplace(number, shape);
  return fresh || cdc_internal::SameShape(place->second, shape);
}

const events::Relation* ShapeTable::Find(uint64_t number) const {
  const std::lock_guard lock(mutex_);
  const auto found = shapes_.find(number);
  return found == shapes_.end() ? nullptr : &found->second;
}

bool ForEachShape(const events::Transaction& transaction, const ShapeTable* shapes,
                  const std::function<bool(const events::Relation&)>& visit) {
  for (const events::Relation& shape : transaction.relations()) {
    if (!visit(shape)) return true;
  }
  for (const uint64_t number : transaction.shapes()) {
    const events::Relation* shape = shapes == nullptr ? nullptr : shapes->Find(number);
    if (shape == nullptr) return false;
    if (!visit(*shape)) return true;
  }
  return true;
}

const events::Relation* FindShape(const events::Transaction& transaction,
                                  const ShapeTable* shapes, uint32_t oid) {
  const events::Relation* found = nullptr;
  ForEachShape(transaction, shapes, [&](const events::Relation& shape) {
    if (shape.oid() == oid) found = &shape;
    return found == nullptr;
  });
  return found;
}

void NameShapes(events::Transaction& transaction, ShapeTable& shapes) {
  for (const events::Relation& shape : transaction.relations()) {
    transaction.add_shapes(shapes.NumberOf(shape));
  }
  transaction.clear_relations();
}

bool HoldShapes(events::Transaction& transaction, const ShapeTable* shapes) {
  for (const uint64_t number : transaction.shapes()) {
    const events::Relation* shape = shapes == nullptr ? nullptr : shapes->Find(number);
    if (shape == nullptr) return false;
    *transaction.add_relations() = *shape;
  }
  transaction.clear_shapes();
  return true;
}

}  // namespace indoubt
