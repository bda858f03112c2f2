// What the parts of `indoubt cdc` share, and the parts that have a file of their own.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/worker.h"
#include "cli/config.h"

namespace indoubt::cli {

struct CdcVerbConfig {
  Config config;
  CdcOptions options;
};

/// Reads the file at `path`, which must have [cdc] and a view. Errors as LoadConfig.
Result<CdcVerbConfig> LoadCdcConfig(const std::string& path);

/// Of a verb that is to end within about `timeout`: no answer of a Redis is waited for longer,
/// but for a second.
void LimitSinkPatience(CdcOptions& options, Duration timeout);

/// What [cdc], which must be there, and the views say. Errors as LoadConfig's.
Result<CdcOptions> ToCdcOptions(const Config& config);

/// What [cdc] says, which must be there; no views.
CdcOptions CdcSourceOptions(const Config& config);

/// As Fail; but what no worker has made yet (kNotFound) is no mistake on the command line:
/// kEnvironment.
int FailCdc(const Status& status, bool json);

/// `indoubt cdc status`: looks twice, `sample` apart, for the rates (0: once, without).
int ShowCdcStatus(const std::string& config, Duration sample, bool json);

/// `indoubt cdc audit`.
int AuditCdc(const std::string& config, bool json);

/// `indoubt cdc parked`: what each view has set aside.
int ListParked(const std::string& config, bool json);

/// `indoubt cdc retry VIEW`: asks the view's worker to try what is parked again, and waits
/// for that. kEnvironment when something is left.
int RetryParked(const std::string& config, const std::string& name, Duration timeout,
                bool json);

/// `indoubt cdc rebuild VIEW`: each of its waits lasts `timeout` at most.
/// kCorrectnessViolated when the new version differs from the source.
int RebuildCdcView(const std::string& config, const std::string& name, Duration timeout,
                   bool json);

struct CdcWaitArguments {
  std::string config, view, lsn;
  Duration timeout{};
  bool json = false;
};
/// `indoubt cdc wait`: exit 3 when the view has not come so far in time.
int WaitForCdcView(const CdcWaitArguments& arguments);

}  // namespace indoubt::cli
