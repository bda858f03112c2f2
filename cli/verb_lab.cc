// indoubt lab: servers that the experiments start as processes of their own, so
// that they can be killed. Not for people.
#include <memory>

#include "cli/output.h"
#include "cli/verbs.h"
#include "experiments/paths/lab_servers.h"

namespace indoubt::cli {

void AddLab(Verb program) {
  Verb verb = program.Add("lab", "Servers of the experiments' own");
  verb.Hide();  // not in --help
  auto options = std::make_shared<LabServerOptions>();
  const auto add = [&](const char* name, const char* help, auto function) {
    Verb part = verb.Add(name, help);
    part.Value("--listen", options->listen, "Address").Required();
    part.Value("--postgres", options->stores.postgres_dsn, "DSN")
        .OrEnvironment("INDOUBT_LAB_POSTGRES")
        .Required();
    part.Value("--redis", options->stores.redis_uri, "URI")
        .OrEnvironment("INDOUBT_LAB_REDIS")
        .Required();
    part.Value("--sqlite", options->stores.sqlite_path, "Path").Required();
    part.Value("--clients", options->clients, "Most operations at once").Between(1, 4096);
    part.Does([options, function] {
      const Status status = function(*options);
      return status.ok() ? static_cast<int>(kDone) : Fail(status);
    });
  };
  add("raw-server", "The bound: prepares and commits without a coordinator", RunRawServer);
  add("dual-write-client", "Writes one store after another", RunDualWriteClient);
}

}  // namespace indoubt::cli
