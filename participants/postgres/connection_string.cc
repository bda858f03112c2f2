#include "participants/postgres/connection_string.h"

#include <memory>

#include <libpq-fe.h>

#include "base/text.h"
#include "participants/postgres/sql_text.h"

namespace indoubt::pg {
namespace {

/// Whether a URI's first '/' stands before its '@': the password holds one that is not
/// escaped, and libpq would show what is in front of it as a host or port.
bool SlashCutsThePassword(std::string_view dsn) {
  const size_t scheme = dsn.find("://");
  if (scheme == dsn.npos || !dsn.starts_with("postgres")) return false;
  const std::string_view rest = dsn.substr(scheme + 3, dsn.find('?') - scheme - 3);
  const size_t slash = rest.find('/'), at = rest.find('@');
  return slash != rest.npos && at != rest.npos && slash < at;
}

}  // namespace

Result<ConnectionString> ConnectionString::Parse(const std::string& dsn) {
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(dsn.c_str(), nullptr), PQconninfoFree);
  if (!options || dsn.find('\0') != std::string::npos) {
    // libpq's own message quotes the string, which may hold a password.
    return Status(StatusCode::kInvalidArgument,
                  "the connection string cannot be parsed (it is not shown, for it may hold a "
                  "password); write \"host=... dbname=...\" or postgresql://...");
  }
  if (SlashCutsThePassword(dsn)) {
    return Status(StatusCode::kInvalidArgument,
                  "the connection string holds an '@' behind its first '/' (it is not shown, "
                  "for it may hold a password); write %2F for a '/' in a user or password");
  }
  ConnectionString parsed;
  parsed.dsn_ = dsn;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    const std::string_view keyword = option->keyword;
    if (option->val != nullptr && *option->val != '\0' &&
        (keyword == "password" || keyword == "sslpassword")) {
      parsed.secrets_.emplace_back(option->val);
    }
    // An '@' that is not escaped ends the password, and libpq would show the rest of it as
    // a host that it cannot find. One in front names an abstract socket.
    if (option->val != nullptr && keyword == "host" &&
        std::string_view(option->val).find('@', 1) != std::string_view::npos) {
      return Status(StatusCode::kInvalidArgument,
                    "the connection string's host holds an '@' (it is not shown, for it may be "
                    "the end of a password); write %40 for an '@' in a user or password");
    }
  }
  return parsed;
}

std::string ConnectionString::WithoutSecrets(std::string text) const {
  for (const std::string& secret : secrets_) {
    for (size_t at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + 3)) {
      text.replace(at, secret.size(), "***");
    }
  }
  return OneLine(text);
}

}  // namespace indoubt::pg
