#include "cdc/source/publication.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace indoubt::cdc_internal {

Status CheckPublication(PgConnection& connection, const std::string& name,
                        const std::set<std::string>& tables, TimePoint deadline) {
  const std::string literal = connection.Literal(name);
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows known,
      connection.Query("SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM "
                       "pg_publication WHERE pubname = " +
                           literal,
                       deadline));
  if (known.empty()) {
    return Status(StatusCode::kNotFound, fmt::format("there is no publication \"{}\"", name));
  }
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection.Query("SELECT format('%I.%I', schemaname, tablename) FROM "
                       "pg_publication_tables WHERE rowfilter IS NULL AND pubname = " +
                           literal,
                       deadline));
  std::set<std::string> published;
  for (const auto& row : rows) published.insert(row[0].value_or(""));
  if (published != tables || known[0][0] != "t") {
    return Status(StatusCode::kRefused,
                  fmt::format("publication \"{}\" publishes {{{}}}, not all changes of {{{}}}; "
                              "name another publication, slot and event log",
                              name, fmt::join(published, ", "), fmt::join(tables, ", ")));
  }
  return Status::Ok();
}

Status EnsurePublication(PgConnection& connection, const std::string& name,
                         const std::set<std::string>& tables, TimePoint deadline) {
  const Status checked = CheckPublication(connection, name, tables, deadline);
  if (checked.code() != StatusCode::kNotFound) return checked;
  return connection
      .Query(fmt::format("CREATE PUBLICATION {} FOR TABLE {}", connection.Identifier(name),
                         fmt::join(tables, ", ")),
             deadline)
      .status();
}

}  // namespace indoubt::cdc_internal
