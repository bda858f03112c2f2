// The shapes of the source's tables, by the numbers that the events of a log name them by, so
// that no event has to carry them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "proto/events.pb.h"

namespace indoubt {

/// Thread-safe. A number means one shape for as long as the log lives; a shape that comes again
/// has its number of before.
class ShapeTable {
 public:
  /// The number of `shape`, a new one if it is new here. From 1.
  uint64_t NumberOf(const events::Relation& shape);
  /// `shape` has `number`, as a file says. Whether that may be: nothing here says otherwise.
  bool Put(uint64_t number, const events::Relation& shape);
  /// Null when nothing has this number. What it points to stays as long as the table.
  const events::Relation* Find(uint64_t number) const;

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, events::Relation> shapes_;  // guarded by mutex_
};

/// Calls `visit` with each shape that `transaction` has or names, until one returns false.
/// Whether `shapes` has all that it names.
bool ForEachShape(const events::Transaction& transaction, const ShapeTable* shapes,
                  const std::function<bool(const events::Relation&)>& visit);

/// The shape of the source table `oid` among them; null when there is none.
const events::Relation* FindShape(const events::Transaction& transaction,
                                  const ShapeTable* shapes, uint32_t oid);

/// `transaction` names the shapes that it has, and has none any more; and the other way round,
/// false when `shapes` lacks one.
void NameShapes(events::Transaction& transaction, ShapeTable& shapes);
bool HoldShapes(events::Transaction& transaction, const ShapeTable* shapes);

}  // namespace indoubt
