// libpq's connection string, whose passwords must show up nowhere.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace indoubt::pg {

/// A parsed connection string. Its secrets stay inside.
class ConnectionString {
 public:
  /// kInvalidArgument when libpq cannot parse it; the message shows none of it.
  static Result<ConnectionString> Parse(const std::string& dsn);
  const std::string& dsn() const { return dsn_; }
  /// `text` on one line, with every password of the string replaced by "***".
  std::string WithoutSecrets(std::string text) const;

 private:
  std::string dsn_;
  std::vector<std::string> secrets_;
};

}  // namespace indoubt::pg
