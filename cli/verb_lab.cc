// indoubt lab: servers that the experiments start as processes of their own, so
// that they can be killed. Not for people.
#include <memory>

#include "cli/output.h"
#include "cli/verbs.h"
#include "experiments/paths/lab_servers.h"

namespace indoubt::cli {

void AddLab(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("lab", "Servers of the experiments' own");
  verb->group("");  // not in --help
  verb->require_subcommand(1);
  auto options = std::make_shared<LabServerOptions>();
  const auto add = [&](const char* name, const char* help, auto function) {
    CLI::App* part = verb->add_subcommand(name, help);
    part->add_option("--listen", options->listen, "Address")->required();
    part->add_option("--postgres", options->stores.postgres_dsn, "DSN")
        ->envname("INDOUBT_LAB_POSTGRES")
        ->required();
    part->add_option("--redis", options->stores.redis_uri, "URI")
        ->envname("INDOUBT_LAB_REDIS")
        ->required();
    part->add_option("--sqlite", options->stores.sqlite_path, "Path")->required();
    part->add_option("--clients", options->clients, "Most operations at once")
        ->check(CLI::Range(1, 4096));
    part->callback([&action, options, function] {
      action = [options, function] {
        const Status status = function(*options);
        return status.ok() ? static_cast<int>(kDone) : Fail(status);
      };
    });
  };
  add("raw-server", "The bound: prepares and commits without a coordinator", RunRawServer);
  add("dual-write-client", "Writes one store after another", RunDualWriteClient);
}

}  // namespace indoubt::cli
