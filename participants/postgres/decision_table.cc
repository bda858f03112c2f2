#include "participants/postgres/decision_table.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace indoubt::pg {
namespace {

/// Null breaks the row's NOT NULL: the transaction fails before its COMMIT.
constexpr const char* kInsertCommit =
    "INSERT INTO indoubt.decisions (gid, branches, decision) VALUES ($1, $2, "
    "(SELECT 'commit' WHERE NOT EXISTS (SELECT FROM indoubt.floors WHERE log = $3 "
    "AND (incarnation, number) > ($4::bigint, $5::bigint)) "
    "AND pg_catalog.current_setting('synchronous_commit') <> 'off'))";

constexpr const char* kInsertAbort =
    "INSERT INTO indoubt.decisions (gid, branches, decision) VALUES ($1, '', 'abort') "
    "ON CONFLICT (gid) DO NOTHING";

// Two ranges of the primary key, below and above the incarnation that is left out.
constexpr const char* kSelectCommits =
    "(SELECT gid, branches FROM indoubt.decisions WHERE gid >= $1 AND gid < $2 "
    "AND decision = 'commit' LIMIT $5::int) UNION ALL "
    "(SELECT gid, branches FROM indoubt.decisions WHERE gid >= $3 AND gid < $4 "
    "AND decision = 'commit' LIMIT $5::int)";

constexpr const char* kRaiseFloor =
    "INSERT INTO indoubt.floors AS f (log, incarnation, number, raised_by) "
    "VALUES ($1, $2::bigint, $3::bigint, pg_catalog.pg_current_xact_id()) "
    "ON CONFLICT (log) DO UPDATE SET incarnation = EXCLUDED.incarnation, "
    "number = EXCLUDED.number, raised_by = EXCLUDED.raised_by "
    "WHERE (f.incarnation, f.number) < (EXCLUDED.incarnation, EXCLUDED.number)";

constexpr const char* kDeleteAborts =
    "DELETE FROM indoubt.decisions WHERE gid = ANY ($1::text[]) AND decision = 'abort' "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a, indoubt.floors AS f "
    "WHERE f.log = $2 AND a.datname = pg_catalog.current_database() "
    "AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_xmin IS NOT NULL "
    "AND pg_catalog.age(a.backend_xmin) >= pg_catalog.age(f.raised_by::xid))";

Value Text(std::string_view text) { return Value{std::string(text)}; }

/// As an array's text; a gid holds nothing that would need quotes.
Value ArrayOf(const std::vector<Gid>& gids) {
  std::string text = "{";
  for (const Gid& gid : gids) text += (text.size() > 1 ? "," : "") + gid.ToString();
  return Text(text + "}");
}

std::optional<std::string> DecodeHex(std::string_view hex) {
  std::string bytes;
  for (; hex.size() >= 2; hex.remove_prefix(2)) {
    uint8_t byte = 0;
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + 2, byte, 16);
    if (error != std::errc() || end != hex.data() + 2) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  if (!hex.empty()) return std::nullopt;
  return bytes;
}

}  // namespace

std::string EncodeBranches(const std::vector<BranchRecord>& branches) {
  std::string text;
  for (const BranchRecord& branch : branches) {
    text += fmt::format("{}{}:", text.empty() ? "" : " ", branch.participant);
    for (const char c : branch.token) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  }
  return text;
}

std::optional<std::vector<BranchRecord>> DecodeBranches(std::string_view text) {
  std::vector<BranchRecord> branches;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    const size_t colon = word.find(':');
    if (colon == word.npos || !IsValidName(word.substr(0, colon))) return std::nullopt;
    auto token = DecodeHex(word.substr(colon + 1));
    if (!token) return std::nullopt;
    branches.push_back({std::string(word.substr(0, colon)), *std::move(token)});
  }
  return branches;
}

Command InsertCommitRow(const Gid& gid, const std::vector<BranchRecord>& branches) {
  return {.text = kInsertCommit,
          .params = {Text(gid.ToString()), Text(EncodeBranches(branches)), Text(gid.log.text()),
                     Value{int64_t{gid.incarnation}}, Value{static_cast<int64_t>(gid.number)}}};
}

Command InsertAbortRow(const Gid& gid) {
  return {.text = kInsertAbort, .params = {Text(gid.ToString())}};
}

Command SelectRow(const Gid& gid) {
  return {.text = "SELECT decision, branches FROM indoubt.decisions WHERE gid = $1",
          .params = {Text(gid.ToString())}};
}

Command SelectCommitRows(std::string_view node, const LogId& log, uint32_t incarnation,
                         int limit) {
  // "/" is the character after ".".
  const std::string all = fmt::format("{}.{}", node, log.text());
  const std::string without = fmt::format("{}.{:x}", all, incarnation);
  return {.text = kSelectCommits,
          .params = {Text(all + "."), Text(without + "."), Text(without + "/"), Text(all + "/"),
                     Value{int64_t{limit}}}};
}

Command DeleteCommitRows(const std::vector<Gid>& gids) {
  return {.text =
              "DELETE FROM indoubt.decisions WHERE gid = ANY ($1::text[]) "
              "AND decision = 'commit'",
          .params = {ArrayOf(gids)}};
}

Command RaiseFloor(const Gid& floor) {
  return {.text = kRaiseFloor,
          .params = {Text(floor.log.text()), Value{int64_t{floor.incarnation}},
                     Value{static_cast<int64_t>(floor.number)}}};
}

Command SelectAbortRows(std::string_view node, const LogId& log, int limit) {
  const std::string all = fmt::format("{}.{}", node, log.text());
  return {.text =
              "SELECT gid FROM indoubt.decisions WHERE decision = 'abort' "
              "AND gid >= $1 AND gid < $2 LIMIT $3::int",
          .params = {Text(all + "."), Text(all + "/"), Value{int64_t{limit}}}};
}

Command DeleteAbortRows(const LogId& log, const std::vector<Gid>& gids) {
  return {.text = kDeleteAborts, .params = {ArrayOf(gids), Text(log.text())}};
}

}  // namespace indoubt::pg
