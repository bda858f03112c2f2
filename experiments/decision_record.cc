#include "experiments/decision_record.h"

#include <filesystem>

#include "base/file.h"
#include "experiments/ndjson.h"
#include "recovery/file_log.h"

namespace indoubt {

Status RecordDecisions(const std::string& log_folder, const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(const auto records, InspectLog(PosixFileSystem(), log_folder));
  INDOUBT_ASSIGN_OR_RETURN(const auto file, NdjsonFile::Create(path));
  for (const InspectedRecord& record : records) {
    file->Write({{"file", std::filesystem::path(record.file).filename().string()},
                 {"offset", record.offset},
                 {"sequence", record.sequence},
                 {"kind", record.kind},
                 {"gid", record.gid.empty() ? nlohmann::json() : nlohmann::json(record.gid)},
                 {"detail", record.detail}});
  }
  return file->Close();
}

}  // namespace indoubt
