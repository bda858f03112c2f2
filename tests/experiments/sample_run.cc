#include "tests/experiments/sample_run.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace indoubt {
namespace {

using nlohmann::json;

constexpr int64_t kFrom = 1 * kSecond, kTo = 31 * kSecond, kDrained = 41 * kSecond;

json RepJson(const std::string& path, const std::string& target, const std::string& point) {
  return {{"path", path},
          {"cell", path},
          {"n", 1},
          {"seed", 43},
          {"load", {{"mode", "open"}, {"rate_per_s", 10.0}, {"clients", 32}}},
          {"warmup_from_ns", 0},
          {"measure_from_ns", kFrom},
          {"measure_to_ns", kTo},
          {"drained_ns", kDrained},
          {"faults",
           {{{"kind", "kill"},
             {"target", target},
             {"point", point},
             {"requested_at_ns", 6 * kSecond},
             {"observed_at_ns", 6 * kSecond + 100 * kMillisecond},
             {"healed_at_ns", 16 * kSecond}}}},
          {"final",
           {{"checked", {{"orders", 300}, {"stock", 100}, {"prices", 100}, {"accounts", 100}}},
            {"inconsistent", json::array()},
            {"lost_acknowledged", json::array()},
            {"resurrected", json::array()},
            {"leftovers",
             {{"pg_prepared_xacts", 0},
              {"redis_intents", 0},
              {"redis_locks", 0},
              {"sqlite_staged", 0},
              {"sqlite_locks", 0}}},
            {"unwritable", json::array()},
            {"recovery_idempotent", path == "dual-write" ? json() : json(true)}}}};
}

/// A hundred commits, due every 100 ms, that take 1, 2, ... 100 ms and start 0.5 ms
/// late; and one operation of the warm-up that nothing may count.
std::vector<json> Operations() {
  std::vector<json> operations;
  json warm = SampleOperation(0, "committed", 0, 0, 999 * kMillisecond);
  warm["phase"] = "warmup";
  operations.push_back(warm);
  for (int64_t i = 1; i <= 100; ++i) {
    const int64_t due = kFrom + i * 100 * kMillisecond;
    operations.push_back(
        SampleOperation(i, "committed", due, due + kMillisecond / 2, due + i * kMillisecond));
  }
  return operations;
}

std::vector<json> Timeline(int64_t in_doubt, const json& lag) {
  std::vector<json> lines;
  for (int64_t t = 0; t <= kDrained; t += 100 * kMillisecond) {
    const bool down = t > 6 * kSecond && t < 16 * kSecond;
    lines.push_back({{"t_ns", t},
                     {"completed", 1},
                     {"in_flight", 2},
                     {"in_doubt", down ? in_doubt : 0},
                     {"waiters", down ? in_doubt : 0},
                     {"lag_ms", {{"stock", down ? lag : (lag.is_null() ? lag : json(0))}}}});
  }
  return lines;
}

SampleRep MakeRep(const std::string& path, const std::string& target,
                  const std::string& point) {
  SampleRep rep;
  rep.cell = rep.path = path;
  rep.rep = RepJson(path, target, point);
  rep.files["ops.ndjson"] = Operations();
  rep.files["blocked.ndjson"] = {};
  rep.files["reads.ndjson"] = {};
  return rep;
}

json Read(int64_t order, bool fractured) {
  return {{"t_ns", kFrom},
          {"order", order},
          {"first", {true, !fractured}},
          {"second", fractured ? json({true, false}) : json()},
          {"fractured", fractured}};
}

SampleRep TwoPhase() {
  SampleRep rep = MakeRep("2pc", "coordinator", "voted");
  auto& operations = rep.files["ops.ndjson"];
  operations.push_back(SampleOperation(101, "rolled_back", 20 * kSecond, 20 * kSecond,
                                       20 * kSecond + 200 * kMillisecond));
  operations.push_back(SampleOperation(102, "unknown", 6 * kSecond, 6 * kSecond, 11 * kSecond));
  operations.push_back(SampleOperation(103, "censored", 7 * kSecond, 7 * kSecond, nullptr));
  operations.push_back(
      SampleOperation(104, "failed", 8 * kSecond, 8 * kSecond, 8 * kSecond + kMillisecond));
  operations.push_back(SampleOperation(105, "dropped", 9 * kSecond, nullptr, nullptr));
  rep.files["in_doubt.ndjson"] = {{{"store", "accounts"},
                                   {"gid", "g1"},
                                   {"first_seen_ns", 6 * kSecond},
                                   {"last_seen_ns", 16 * kSecond + 500 * kMillisecond}},
                                  {{"store", "stock"},
                                   {"gid", "g1"},
                                   {"first_seen_ns", 6 * kSecond},
                                   {"last_seen_ns", 6 * kSecond + 4 * kMillisecond}}};
  rep.files["blocked.ndjson"] = {{{"store", "accounts"},
                                  {"key", "account:3"},
                                  {"started_ns", 7 * kSecond},
                                  {"ended_ns", 16 * kSecond}},
                                 {{"store", "stock"},
                                  {"key", "stock:1"},
                                  {"started_ns", 7 * kSecond},
                                  {"ended_ns", 7 * kSecond + 100 * kMillisecond}},
                                 {{"store", "ledger"},
                                  {"key", "order:1"},
                                  {"started_ns", 40 * kSecond},
                                  {"ended_ns", nullptr}}};
  rep.files["reads.ndjson"] = {Read(1, false), Read(2, true), Read(2, true)};
  rep.files["timeline.ndjson"] = Timeline(2, nullptr);
  return rep;
}

SampleRep Derived() {
  SampleRep rep = MakeRep("cdc", "cdc-worker", "cdc_appended");
  rep.files["in_doubt.ndjson"] = {};
  rep.files["lag.ndjson"] = {{{"store", "stock"},
                              {"order", 1},
                              {"committed_ns", 5 * kSecond},
                              {"visible_ns", 5 * kSecond - kMillisecond}},
                             {{"store", "stock"},
                              {"order", 2},
                              {"committed_ns", 6 * kSecond},
                              {"visible_ns", 17 * kSecond}},
                             {{"store", "ledger"},
                              {"order", 1},
                              {"committed_ns", 5 * kSecond},
                              {"visible_ns", 5 * kSecond + 20 * kMillisecond}},
                             {{"store", "ledger"},
                              {"order", 2},
                              {"committed_ns", 30 * kSecond},
                              {"visible_ns", nullptr}}};
  rep.files["timeline.ndjson"] = Timeline(0, 9000.0);
  return rep;
}

SampleRep DualWrite() {
  SampleRep rep = MakeRep("dual-write", "client", "dual_write_between");
  rep.rep["final"]["inconsistent"] = {
      {{"key", "order:17"},
       {"kind", "order"},
       {"values", {{"accounts", "1"}, {"stock", nullptr}, {"ledger", nullptr}}}},
      {{"key", "price:4"}, {"kind", "price"}, {"values", {{"accounts", "7"}, {"stock", "8"}}}}};
  rep.rep["final"]["lost_acknowledged"] = {"order:19"};
  rep.files["reads.ndjson"] = {Read(17, true), Read(18, true), Read(19, false)};
  rep.files["timeline.ndjson"] = Timeline(0, nullptr);
  return rep;
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  ASSERT_TRUE(out.flush().good()) << path;
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name =
      (std::filesystem::temp_directory_path() / "indoubt-sample-XXXXXX").string();
  const char* made = ::mkdtemp(name.data());
  EXPECT_NE(made, nullptr) << name;
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

json SampleOperation(int64_t i, const std::string& outcome, int64_t intended_ns,
                     json started_ns, json ended_ns) {
  return {{"i", i},
          {"op", "place_order"},
          {"phase", "measure"},
          {"intended_ns", intended_ns},
          {"started_ns", std::move(started_ns)},
          {"ended_ns", std::move(ended_ns)},
          {"outcome", outcome},
          {"order", i},
          {"account", 3},
          {"item", 5},
          {"gid", nullptr},
          {"reason", nullptr}};
}

SampleRep& SampleRun::rep(const std::string& cell, int n) {
  for (SampleRep& candidate : reps) {
    if (candidate.cell == cell && candidate.n == n) return candidate;
  }
  SampleRep copy = rep(cell, 1);
  copy.n = n;
  copy.rep["n"] = n;
  return reps.emplace_back(std::move(copy));
}

SampleRun MakeSampleRun() {
  SampleRun sample;
  sample.run = {{"schema", 1},
                {"id", "20261124-sample"},
                {"scenario", "coordinator-crash"},
                {"question", "What does the death of the <one> who coordinates cost?"},
                {"status", "done"},
                {"seed", 42},
                {"argv", {"indoubt", "run", "coordinator-crash"}},
                {"reproduce", "indoubt run coordinator-crash --seed 42"},
                {"started_at", "2026-11-24T09:30:00.123Z"},
                {"ended_at", "2026-11-24T09:33:00.123Z"},
                {"expect",
                 {{{"check", "2pc.inconsistent.permanent == 0"}},
                  {{"check", "2pc.in_doubt_ms.max >= 10000"}},
                  {{"check", "cdc.lag_ms.max > 10000"}},
                  {{"check", "dual-write.inconsistent.permanent > 0"}},
                  {{"check", "2pc.throughput_per_s / cdc.throughput_per_s >= 0.8"}}}},
                {"warnings", json::array()}};
  sample.env = {
      {"git_sha", "0123456789abcdef"},
      {"build", "release"},
      {"versions", {{"postgres", "15.18"}, {"redis", "7.0.15"}, {"sqlite", "3.40.1"}}},
      {"cpu", "some"},
      {"cores", 2},
      {"memory_gib", 23.4},
      {"kernel", "6.1"},
      {"filesystem", "ext4"},
      {"fdatasync_us", {{"p50", 210.0}, {"p90", 400.0}, {"n", 200}}},
      {"durability", {{"postgres", "fsync=on"}, {"redis", "appendfsync=always"}}}};
  sample.reps = {TwoPhase(), Derived(), DualWrite()};
  return sample;
}

void SampleRun::Write(const std::string& folder) const {
  std::vector<json> cells;
  for (const SampleRep& rep : reps) {
    const std::string dir = fmt::format("cells/{}/rep-{}", rep.cell, rep.n);
    const std::string to = fmt::format("{}/{}/", folder, dir);
    std::filesystem::create_directories(to);
    if (!rep.rep.is_null()) WriteText(to + "rep.json", rep.rep.dump());
    for (const auto& [name, lines] : rep.files) {
      std::string text;
      for (const json& line : lines) text += line.dump() + "\n";
      WriteText(to + name, text);
    }
    const json entry = {{"n", rep.n}, {"dir", dir}, {"status", rep.status}, {"error", nullptr}};
    auto cell = std::find_if(cells.begin(), cells.end(),
                             [&](const json& other) { return other.at("name") == rep.cell; });
    if (cell == cells.end()) {
      cells.push_back({{"name", rep.cell},
                       {"path", rep.path},
                       {"params", rep.params},
                       {"reps", json::array()}});
      cell = cells.end() - 1;
    }
    cell->at("reps").push_back(entry);
  }
  json whole = run;
  whole["cells"] = cells;
  WriteText(folder + "/run.json", whole.dump());
  if (!env.is_null()) WriteText(folder + "/env.json", env.dump());
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

CommandResult RunCommand(const std::string& command) {
  CommandResult result;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> buffer{};
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    result.output.append(buffer.data(), got);
  }
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

CommandResult VerifyRun(const std::string& folder) {
  return RunCommand("python3 '" INDOUBT_SOURCE_DIR "/scripts/verify' '" + folder + "'");
}

CommandResult ValidateSummary(const std::string& folder) {
  // Debian's own: its python3-jsonschema belongs to no other interpreter.
  return RunCommand("/usr/bin/python3 '" INDOUBT_SOURCE_DIR
                    "/tests/experiments/validate_schema.py' '" INDOUBT_SOURCE_DIR
                    "/docs/summary.schema.json' '" +
                    folder + "/summary.json'");
}

}  // namespace indoubt
