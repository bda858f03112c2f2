#include "cdc/source/publication.h"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace indoubt::cdc_internal {
namespace {

/// What has given the mark named `of` another value.
std::string WhatWasDone(const std::string& of, const PublishedTables& tables) {
  if (of == "oid") return "it was dropped and made anew";
  if (of.starts_with("row ")) return "its options were altered";
  std::string what = of;
  for (const auto& [oid, table] : tables) {
    if (of == fmt::format("table {}", oid)) what = "table " + table;
  }
  return what + " was taken out or narrowed, and put back";
}

}  // namespace

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

Result<PublicationMarks> ReadPublicationMarks(PgConnection& connection, const std::string& name,
                                              TimePoint deadline) {
  const std::string ours = "WHERE p.pubname = " + connection.Literal(name);
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection.Query(
          fmt::format(
              "SELECT 'oid', p.oid::text FROM pg_publication p {0} UNION ALL "
              // A new owner makes a new version, too, and changes nothing.
              "SELECT 'row of owner ' || p.pubowner, p.xmin::text FROM pg_publication p "
              "{0} UNION ALL "
              "SELECT 'table ' || r.prrelid, r.oid::text FROM pg_publication_rel r JOIN "
              "pg_publication p ON p.oid = r.prpubid {0} UNION ALL "
              "SELECT 'schema ' || s.pnnspid, s.oid::text FROM pg_publication_namespace "
              "s JOIN pg_publication p ON p.oid = s.pnpubid {0}",
              ours),
          deadline));
  PublicationMarks marks;
  for (const auto& row : rows) marks[row[0].value_or("")] = row[1].value_or("");
  return marks;
}

Status CheckPublicationMarks(const std::string& name, const PublicationMarks& before,
                             const PublicationMarks& now, const PublishedTables& tables) {
  std::vector<std::string> altered;
  for (const auto& [of, mark] : before) {
    const auto found = now.find(of);
    if (found != now.end() && found->second != mark) altered.push_back(of);
  }
  if (altered.empty()) return Status::Ok();
  std::vector<std::string> done;
  for (const std::string& of : altered) done.push_back(WhatWasDone(of, tables));
  return Status(StatusCode::kRefused,
                fmt::format("publication \"{}\" was altered after the event log was begun, and "
                            "what it left out meanwhile is missing for good: {}; name another "
                            "slot and event log",
                            name, fmt::join(done, "; ")));
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
