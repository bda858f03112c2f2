#include "cdc/source/publication.h"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace indoubt::cdc_internal {
namespace {

using Entries = google::protobuf::Map<uint32_t, uint32_t>;

constexpr size_t kMostNamed = 5;

/// Whether what had the entry `before` for `oid` has that still, and no other.
bool HasIts(const Entries& now, uint32_t oid, uint32_t before) {
  const auto found = now.find(oid);
  return found != now.end() && found->second == before;
}

/// What was done, one line each; none: nothing.
std::vector<std::string> Alterations(const events::PublicationMarks& before,
                                     const events::PublicationMarks& now,
                                     const PublishedTables& tables) {
  if (before.oid() != now.oid()) return {"it was dropped and made anew"};
  std::vector<std::string> done;
  if (before.owner() == now.owner() && before.row() != now.row()) {
    done.emplace_back("its options, name or owner were altered and put back");
  }
  for (const auto& [oid, entry] : before.tables()) {
    const auto table = tables.find(oid);
    if (table == tables.end() || HasIts(now.tables(), oid, entry)) continue;
    done.push_back("table " + table->second + " was taken out or narrowed");
  }
  for (const auto& [oid, entry] : before.schemas()) {
    if (!HasIts(now.schemas(), oid, entry)) done.emplace_back("a schema was taken out");
  }
  return done;
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

Result<events::PublicationMarks> ReadPublicationMarks(PgConnection& connection,
                                                      const std::string& name,
                                                      TimePoint deadline) {
  const std::string ours = "WHERE p.pubname = " + connection.Literal(name);
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection.Query(
          fmt::format(
              "SELECT 'p', p.oid, p.xmin, p.pubowner FROM pg_publication p {0} UNION ALL "
              "SELECT 't', r.prrelid, r.oid::text::xid, 0 FROM pg_publication_rel r JOIN "
              "pg_publication p ON p.oid = r.prpubid {0} UNION ALL "
              "SELECT 's', n.pnnspid, n.oid::text::xid, 0 FROM pg_publication_namespace n JOIN "
              "pg_publication p ON p.oid = n.pnpubid {0}",
              ours),
          deadline));
  events::PublicationMarks marks;
  for (const auto& row : rows) {
    INDOUBT_ASSIGN_OR_RETURN(const uint32_t of, ParseCatalogNumber(row[1]));
    INDOUBT_ASSIGN_OR_RETURN(const uint32_t mark, ParseCatalogNumber(row[2]));
    if (row[0] == "t") {
      (*marks.mutable_tables())[of] = mark;
    } else if (row[0] == "s") {
      (*marks.mutable_schemas())[of] = mark;
    } else {
      marks.set_oid(of);
      marks.set_row(mark);
      INDOUBT_ASSIGN_OR_RETURN(const uint32_t owner, ParseCatalogNumber(row[3]));
      marks.set_owner(owner);
    }
  }
  if (marks.oid() != 0) return marks;
  return Status(StatusCode::kNotFound, fmt::format("there is no publication \"{}\"", name));
}

Status CheckPublicationMarks(const std::string& name, const events::PublicationMarks& before,
                             const events::PublicationMarks& now,
                             const PublishedTables& tables) {
  std::vector<std::string> done = Alterations(before, now, tables);
  if (done.empty()) return Status::Ok();
  if (done.size() > kMostNamed) {
    const size_t more = done.size() - kMostNamed;
    done.resize(kMostNamed);
    done.push_back(fmt::format("and {} more", more));
  }
  return Status(StatusCode::kRefused,
                fmt::format("publication \"{}\" was altered after the event log was begun, and "
                            "what it left out meanwhile may be missing for good: {}; drop the "
                            "slot, name another slot and event log, and rebuild the views",
                            name, fmt::join(done, "; ")));
}

Result<PublishedTables> PresentTables(PgConnection& connection, const PublishedTables& tables,
                                      TimePoint deadline) {
  std::vector<uint32_t> oids;
  std::vector<std::string> names;
  for (const auto& [oid, name] : tables) {
    oids.push_back(oid);
    names.push_back(connection.Literal(name));
  }
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection.Query(
          fmt::format(
              "SELECT c.oid, format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN "
              "pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN ({}) OR "
              "format('%I.%I', n.nspname, c.relname) IN ({})",
              fmt::join(oids, ", "), fmt::join(names, ", ")),
          deadline));
  PublishedTables present;
  for (const auto& row : rows) {
    INDOUBT_ASSIGN_OR_RETURN(const uint32_t oid, ParseCatalogNumber(row[0]));
    present[oid] = row[1].value_or("");
  }
  return present;
}

Status CheckLogsPublication(PgConnection& connection, const std::string& name,
                            const events::PublicationMarks& before, TimePoint deadline) {
  const auto now = ReadPublicationMarks(connection, name, deadline);
  if (!now && now.error().code() == StatusCode::kNotFound) return LogsPublicationIsGone(name);
  INDOUBT_RETURN_IF_ERROR(now.status());
  if (before.oid() == 0) return Status::Ok();  // not known
  PublishedTables tables;
  for (const auto& [oid, entry] : before.tables()) tables[oid];
  INDOUBT_ASSIGN_OR_RETURN(const PublishedTables present,
                           PresentTables(connection, tables, deadline));
  return CheckPublicationMarks(name, before, *now, present);
}

Status LogsPublicationIsGone(const std::string& name) {
  return Status(
      StatusCode::kRefused,
      fmt::format("publication \"{}\", with which the event log was begun, is gone, and "
                  "the changes since then with it; drop the slot, name another slot "
                  "and event log, and rebuild the views",
                  name));
}

Status EnsurePublication(PgConnection& connection, const std::string& name,
                         const std::set<std::string>& tables, TimePoint deadline) {
  const Status checked = CheckPublication(connection, name, tables, deadline);
  if (checked.code() != StatusCode::kNotFound) return checked;
  return connection
      .Query(fmt::format("CREATE PUBLICATION {} FOR TABLE ONLY {}", connection.Identifier(name),
                         fmt::join(tables, ", ONLY ")),
             deadline)
      .status();
}

}  // namespace indoubt::cdc_internal
