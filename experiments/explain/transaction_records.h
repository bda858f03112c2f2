// The lines of a repetition's raw records that one transaction is in, as JSON.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

/// The lines of `folder`/`name` that contain `needle` as it stands; empty when there is
/// no such file. A last line cut off is left out. kCorrupt names file and line.
Result<std::vector<nlohmann::json>> LinesWith(const std::string& folder,
                                              const std::string& name,
                                              const std::string& needle);

struct TransactionRecords {
  std::string cell, folder;
  int repetition = 0;
  nlohmann::json rep;        // rep.json, or null
  nlohmann::json operation;  // of ops.ndjson, or null: no answer named the gid
  std::vector<nlohmann::json> in_doubt, decisions;
  bool log_kept = false;  // whether decisions.ndjson is there
  bool watched = false;   // whether in_doubt.ndjson is there
};

/// Finds the repetition of the run that knows `gid`. kNotFound as TellStory.
Result<TransactionRecords> FindTransaction(const std::string& run_folder,
                                           const std::string& gid);

}  // namespace indoubt
