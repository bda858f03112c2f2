#include "cdc/schema_rule.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace indoubt {
namespace {

// PostgreSQL's oids (pg_type.dat).
constexpr uint32_t kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25, kFloat4 = 700, kFloat8 = 701,
                   kBpchar = 1042, kVarchar = 1043;

bool IsText(uint32_t type) { return type == kText || type == kVarchar || type == kBpchar; }

// Whether `type` holds every value of `of`, in the same text form. numeric is no such type
// for the integers: a store that keeps integers exactly may not keep it so.
bool Holds(uint32_t type, uint32_t of) {
  if (type == of || (IsText(type) && IsText(of))) return true;
  if (type == kInt4) return of == kInt2;
  if (type == kInt8) return of == kInt2 || of == kInt4;
  return type == kFloat8 && of == kFloat4;
}

const SourceColumn* Find(const SourceRelation& relation, const std::string& name) {
  const auto found =
      std::find_if(relation.columns.begin(), relation.columns.end(),
                   [&name](const SourceColumn& column) { return column.name == name; });
  return found == relation.columns.end() ? nullptr : &*found;
}

// What a column that is gone was likely renamed to: the new one in its place.
const SourceColumn* Successor(const SourceRelation& before, const SourceRelation& after,
                              size_t place) {
  if (place >= after.columns.size() || before.columns.size() != after.columns.size()) {
    return nullptr;
  }
  const SourceColumn& candidate = after.columns[place];
  return Find(before, candidate.name) == nullptr ? &candidate : nullptr;
}

std::string TypeName(uint32_t oid) {
  struct Known {
    uint32_t oid;
    const char* name;
  };
  constexpr std::array<Known, 8> kKnown{{{kInt8, "bigint"},
                                         {kInt2, "smallint"},
                                         {kInt4, "integer"},
                                         {kText, "text"},
                                         {kFloat4, "real"},
                                         {kFloat8, "double precision"},
                                         {kBpchar, "character"},
                                         {kVarchar, "character varying"}}};
  for (const Known& known : kKnown) {
    if (known.oid == oid) return known.name;
  }
  return fmt::format("the type with oid {}", oid);
}

bool Allows(SchemaRule rule, uint32_t before, uint32_t after) {
  switch (rule) {
    case SchemaRule::kBackward:
      return Holds(after, before);
    case SchemaRule::kForward:
      return Holds(before, after);
    case SchemaRule::kFull:
      return Holds(after, before) && Holds(before, after);
  }
  return false;
}

const char* Name(SchemaRule rule) {
  switch (rule) {
    case SchemaRule::kBackward:
      return "backward";
    case SchemaRule::kForward:
      return "forward";
    case SchemaRule::kFull:
      return "full";
  }
  return "?";
}

Status Stop(const SourceRelation& relation, const std::string& what) {
  return Status(StatusCode::kUnsupported,
                fmt::format("table {}.{}: {}; rebuild the view for the new shape",
                            relation.schema, relation.name, what));
}

}  // namespace

Result<SchemaRule> ParseSchemaRule(const std::string& text) {
  for (const SchemaRule rule :
       {SchemaRule::kBackward, SchemaRule::kForward, SchemaRule::kFull}) {
    if (text == Name(rule)) return rule;
  }
  return Status(StatusCode::kInvalidArgument,
                R"(a schema rule is "backward", "forward" or "full")");
}

Status CheckShapeChange(const SourceRelation& before, const SourceRelation& after,
                        const NeededColumns& needs, SchemaRule rule) {
  const bool whole = !needs.has_value();
  if (!whole && !needs->contains(before.name)) return Status::Ok();
  if (before.name != after.name || before.schema != after.schema) {
    return Stop(before, fmt::format("it is named {}.{} now", after.schema, after.name));
  }
  for (size_t place = 0; place < before.columns.size(); ++place) {
    const SourceColumn& old = before.columns[place];
    if (!whole && !needs->at(before.name).contains(old.name)) continue;
    const SourceColumn* now = Find(after, old.name);
    if (now == nullptr) {
      const SourceColumn* successor = Successor(before, after, place);
      return Stop(before,
                  fmt::format("column \"{}\", which the view needs, was {}", old.name,
                              successor ? fmt::format("renamed to \"{}\"", successor->name)
                                        : std::string("dropped")));
    }
    if (!Allows(rule, old.type_oid, now->type_oid)) {
      return Stop(before, fmt::format("column \"{}\" was changed from {} to {}, which the "
                                      "view's schema_rule \"{}\" does not allow",
                                      old.name, TypeName(old.type_oid), TypeName(now->type_oid),
                                      Name(rule)));
    }
    if (whole && old.key != now->key) {
      return Stop(before, fmt::format("column \"{}\" is {} part of the replica identity",
                                      old.name, now->key ? "now" : "no longer"));
    }
  }
  return Status::Ok();
}

}  // namespace indoubt
