// indoubt cdc: the worker of the derived path, and where its views are.
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/duration.h"
#include "cdc/metrics_server.h"
#include "cdc/report.h"
#include "cdc/worker.h"
#include "cli/cdc_verbs.h"
#include "cli/output.h"
#include "cli/termination.h"
#include "cli/verbs.h"

namespace indoubt::cli {
namespace {

// How long a scrape may wait for the source.
constexpr Duration kMetricsPatience = std::chrono::seconds(2);

/// Tells on stderr what begins and what ends, each trouble of source, retention and views by
/// itself, and not all the time. Belongs to one thread.
class Teller {
 public:
  void Tell(const CdcStatus& now) {
    if (now.last_loss != loss_) {
      loss_ = now.last_loss;
      Note("indoubt: cdc: a new snapshot is, or was, taken: " + loss_.message());
    }
    TellHealth("the source", now.source_health);
    TellHealth("the event log's retention", now.retention);
    for (const ViewState& view : now.views) {
      TellHealth("view " + view.name, view.health);
      TellParked(view);
    }
  }

 private:
  /// A trouble that two looks see, 50 ms apart: what has just been started is not well yet.
  void TellHealth(const std::string& of, const Status& health) {
    std::string& said = said_[of];
    std::string& seen = seen_[of];
    const bool lasts = std::exchange(seen, health.message()) == health.message();
    if (health.message() == said || (!health.ok() && !lasts)) return;
    said = health.message();
    Note("indoubt: cdc: " + (health.ok() ? of + " is well again" : said));
  }
  void TellParked(const ViewState& view) {
    if (view.parked > parked_[view.name]) {
      Note(
          fmt::format("indoubt: cdc: view {} has parked {}, the last because {}; see "
                      "`indoubt cdc parked`",
                      view.name, view.parked, view.parked_reason));
    }
    parked_[view.name] = view.parked;
  }

  Status loss_;
  std::map<std::string, std::string> said_, seen_;
  std::map<std::string, uint64_t> parked_;
};

int Run(const std::string& config) {
  const auto loaded = LoadCdcConfig(config);
  if (!loaded) return Fail(loaded.error());
  const CdcOptions& options = loaded->options;
  BlockTermination();
  // Before the worker: while it copies a snapshot it can be asked how it goes.
  std::unique_ptr<MetricsServer> metrics;
  if (const std::string& address = loaded->config.cdc->metrics; !address.empty()) {
    auto started = MetricsServer::Start(address, [&options] {
      return ToPrometheus(ReadCdcReport(options, SystemClock().Now() + kMetricsPatience));
    });
    if (!started) return Fail(started.error().WithContext("cdc.metrics"));
    metrics = std::move(*started);
    Note(fmt::format("indoubt: cdc: metrics at http://{}/metrics", metrics->address()));
  }
  auto worker = [&options] {
    // Copying a snapshot may take hours, and goes on after any death.
    const EndAtTermination cut([] {
      Note(
          "indoubt: cdc: ended before it could stream; what was copied is kept, and the next "
          "`indoubt cdc run` goes on from there");
    });
    return CdcWorker::Start(options);
  }();
  if (!worker) return FailCdc(worker.error(), false);
  Note("indoubt: cdc: streaming");
  Teller teller;
  AwaitTermination([&] {
    teller.Tell((*worker)->status());
    return (*worker)->source_lost();
  });
  const bool lost = (*worker)->source_lost();
  const Status health = (*worker)->health();
  (*worker)->Stop();
  if (!lost) return kDone;
  if (health.ok()) return kEnvironment;
  // What the source sent, or what became of it, is no mistake on the command line.
  const int code = FailCdc(health, false);
  return code == kUsage ? static_cast<int>(kEnvironment) : code;
}

using OfView = int (*)(const std::string& config, const std::string& view, Duration timeout,
                       bool json);

/// What a verb that is told VIEW and --timeout does.
void AddOfView(Verb verb, const std::shared_ptr<std::string>& config,
               const std::shared_ptr<bool>& json, const char* patience, const char* why,
               OfView run) {
  auto view = std::make_shared<std::string>();
  verb.Value("VIEW", *view, "Name of the view").Required();
  auto timeout = std::make_shared<std::string>(patience);
  verb.Duration("--timeout", *timeout, why).ShowDefault();
  verb.Does([config, view, timeout, json, run] {
    return run(*config, *view, ParseDuration(*timeout).value_or(Duration::zero()), *json);
  });
}

}  // namespace

void AddCdc(Verb program) {
  Verb verb = program.Add("cdc", "Change data capture into derived views");
  auto config = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  Verb run = verb.Add("run", "The worker, until SIGTERM");
  Verb status = verb.Add("status", "How far each view is");
  Verb audit =
      verb.Add("audit", "Holds the source's stream against the coordinator's decisions");
  Verb parked = verb.Add("parked", "The events that views could not take");
  Verb retry = verb.Add("retry", "Lets the worker try a view's parked events");
  Verb rebuild = verb.Add(
      "rebuild", "Derives a view anew, proves it equal to the source, and swaps it in");
  Verb wait = verb.Add("wait", "Until a view shows what a write's LSN says");
  for (Verb part : {run, status, audit, parked, retry, rebuild, wait}) {
    part.Value("-c,--config", *config, "Configuration file").Required();
  }
  for (Verb part : {status, audit, parked, retry, rebuild, wait}) {
    part.Flag("--json", *json, "One JSON object on stdout");
  }
  parked.Does([config, json] { return ListParked(*config, *json); });
  AddOfView(retry, config, json, "10s", "How long to wait for the worker", RetryParked);
  AddOfView(rebuild, config, json, "60s",
            "How long each wait may be: for the source's running transactions, for the log",
            RebuildCdcView);
  audit.Does([config, json] { return AuditCdc(*config, *json); });
  auto awaited = std::make_shared<CdcWaitArguments>();
  auto timeout = std::make_shared<std::string>("5s");
  wait.Value("VIEW", awaited->view, "Which view").Required();
  wait.Value("LSN", awaited->lsn, "A write's token, e.g. 0/16B3748").Required();
  wait.Duration("--timeout", *timeout, "How long").ShowDefault();
  wait.Does([config, json, awaited, timeout] {
    awaited->config = *config;
    awaited->json = *json;
    awaited->timeout = ParseDuration(*timeout).value_or(Duration::zero());
    return WaitForCdcView(*awaited);
  });
  auto sample = std::make_shared<std::string>("1s");
  status.Duration("--sample", *sample, "How long to watch the rates; 0s: not at all")
      .ShowDefault();
  run.Does([config] { return Run(*config); });
  status.Does([config, json, sample] {
    return ShowCdcStatus(*config, ParseDuration(*sample).value_or(Duration::zero()), *json);
  });
}

}  // namespace indoubt::cli
