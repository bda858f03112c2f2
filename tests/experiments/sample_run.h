// A synthetic run's folder with planted values, so that every figure of a summary
// is known beforehand. Change the records, then Write().
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace indoubt {

/// A fresh folder, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct SampleRep {
  std::string cell, path, status = "done";
  nlohmann::json params = {{"load.clients", 32}};  // of the cell; its first repetition's count
  int n = 1;
  nlohmann::json rep;                                        // null: no rep.json
  std::map<std::string, std::vector<nlohmann::json>> files;  // "ops.ndjson" and so on
};

/// Three paths through one outage of ten seconds. The measured span is 1 s to 31 s,
/// all is drained at 41 s of the monotonic clock.
struct SampleRun {
  nlohmann::json run, env;
  std::vector<SampleRep> reps;

  SampleRep& rep(const std::string& cell, int n = 1);
  void Write(const std::string& folder) const;
};

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMillisecond = 1'000'000;

nlohmann::json SampleOperation(int64_t i, const std::string& outcome, int64_t intended_ns,
                               nlohmann::json started_ns, nlohmann::json ended_ns);
SampleRun MakeSampleRun();

/// A file's text; fails the test when it cannot be read.
std::string ReadText(const std::string& path);
/// Runs a command with the shell; its exit status and what it wrote.
struct CommandResult {
  int exit_code = -1;
  std::string output;
};
CommandResult RunCommand(const std::string& command);
/// What scripts/verify says of a run's folder.
CommandResult VerifyRun(const std::string& folder);
/// Whether its summary.json is as docs/summary.schema.json says.
CommandResult ValidateSummary(const std::string& folder);

}  // namespace indoubt
