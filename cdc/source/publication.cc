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
      // A list may name all columns there are: a later one it does not.
      connection.Query(
          "SELECT format('%I.%I%s', t.schemaname, t.tablename, CASE WHEN t.rowfilter IS NOT "
          "NULL THEN ' (only some rows)' WHEN EXISTS (SELECT FROM pg_publication_rel r JOIN "
          "pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid JOIN "
          "pg_namespace n ON n.oid = c.relnamespace WHERE r.prattrs IS NOT NULL AND p.pubname "
          "= t.pubname AND n.nspname = t.schemaname AND c.relname = t.tablename) THEN "
          "' (only listed columns)' END) FROM pg_publication_tables t WHERE t.pubname = " +
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
