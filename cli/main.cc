// `indoubt`: parses the command line and runs one verb.
#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <signal.h>

#include "base/failpoint.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "coordinator/service.h"

#ifndef INDOUBT_VERSION
#error "the build defines INDOUBT_VERSION"
#endif

namespace indoubt::cli {

namespace {

/// `code`, unless it says that all went well and the results did not get out.
int CheckedOutput(int code) {
  if (code != kDone || FinishOutput()) return code;
  Note("indoubt: stdout cannot be written: the results are incomplete");
  return kInternalError;
}

/// Where a store is, and with what password, is nobody's business in a list of processes.
void HideAddresses(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i], before = argv[i - 1];
    const size_t equals = word.find('=');
    const std::string_view option = word.substr(0, equals);
    size_t from = word.size();
    if (before == "--postgres" || before == "--redis") from = 0;
    if ((option == "--postgres" || option == "--redis") && equals != word.npos) {
      from = equals + 1;
    }
    std::fill(argv[i] + from, argv[i] + word.size(), '*');
  }
}

int Main(int argc, char** argv) {
  if (const Status status = ConfigureFailPointsFromEnvironment(); !status.ok()) {
    return Fail(status);
  }
  SilenceServiceLibrary();
  CommandLine line("indoubt",
                   "Two-phase commit over PostgreSQL, Redis and SQLite, measured against CDC",
                   "indoubt " INDOUBT_VERSION);
  for (auto* add : {AddRun, AddReport, AddCompare, AddExplain, AddValidate, AddExec, AddRecover,
                    AddTxn, AddLog, AddDoctor, AddServe, AddCdc, AddList, AddLab}) {
    add(line.program());
  }
  SetGivenArguments(argc, argv);
  HideAddresses(argc, argv);
  const std::vector<std::string>& given = GivenArguments();
  const auto action = line.Parse(given);
  if (action) return CheckedOutput((*action)());
  if (std::find(given.begin(), given.end(), "--json") != given.end()) {
    PrintError(ToString(action.error().code()), action.error().message());
  }
  return CheckedOutput(kUsage);
}

}  // namespace
}  // namespace indoubt::cli

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);  // a closed connection is an error value, not our end
  signal(SIGXFSZ, SIG_IGN);  // so is a file that reached its limit (ulimit -f)
  try {
    return indoubt::cli::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "indoubt: internal error: {}\n", error.what());
    return indoubt::cli::kInternalError;
  }
}
