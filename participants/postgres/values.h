// Values on the wire: parameters out, result rows in.
#pragma once

#include <string>
#include <vector>

#include <libpq-fe.h>

#include "participants/participant.h"

namespace indoubt::pg {

/// Parameters as PQsendQueryParams wants them. Text, with the type left to the
/// server, except that bytes go as binary bytea.
class WireParameters {
 public:
  /// `values` has passed CheckStatement.
  explicit WireParameters(const std::vector<Value>& values);
  int count() const { return static_cast<int>(pointers_.size()); }
  const std::vector<Oid>& types() const { return types_; }
  const char* const* values() const { return pointers_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }

 private:
  std::vector<std::string> texts_;
  std::vector<const char*> pointers_;
  std::vector<Oid> types_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
};

/// Rows and count of a command's text-format result: booleans, integers, floats and
/// bytea by their type, everything else as the server's text.
StatementResult ReadResult(const PGresult* result);

}  // namespace indoubt::pg
