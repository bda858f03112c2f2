#include "experiments/live/live_view.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "experiments/live/live_page.h"
#include "experiments/live/live_sample.h"
#include "experiments/live/live_stream.h"
#include "experiments/paths/path.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kPatience{1000};

std::string Event(const char* kind, const json& data) {
  return LiveEvent(kind, data.dump(-1, ' ', false, json::error_handler_t::replace));
}

/// The processes that can be killed on some path of the scenario, in the order of paths.
json Processes(const Scenario& scenario) {
  json processes = json::array();
  for (const std::string& name : scenario.paths) {
    const auto path = MakePath(name);
    if (!path || (*path)->victim().empty()) continue;
    const json process = {{"name", (*path)->victim()}, {"path", name}};
    if (std::find(processes.begin(), processes.end(), process) == processes.end()) {
      processes.push_back(process);
    }
  }
  return processes;
}

Result<HandRequest> ParseRequest(const std::string& body) {
  const json request = json::parse(body, nullptr, false);
  const Status wrong(
      StatusCode::kInvalidArgument,
      R"(not {"action": "kill" or "restart", "target": "...", "cell": "...", "rep": 1})");
  if (!request.is_object()) return wrong;
  const auto text = [&](const char* key) {
    const json value = request.value(key, json());
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  const json rep = request.value("rep", json());
  const bool kills = text("action") == "kill";
  if ((!kills && text("action") != "restart") || !rep.is_number_integer()) return wrong;
  return HandRequest{kills ? HandAction::kKill : HandAction::kRestart, text("target"),
                     text("cell"), rep.get<int>()};
}

}  // namespace

Result<std::unique_ptr<LiveView>> LiveView::Start(uint16_t port, ByHand& hand) {
  std::unique_ptr<LiveView> view(new LiveView(hand));
  LiveServerOptions options;
  options.port = port;
  options.page = LivePage();
  options.policy = LivePolicy();
  options.opening = [self = view.get()] { return self->Opening(); };
  options.act = [self = view.get()](const std::string& body) { return self->Act(body); };
  INDOUBT_ASSIGN_OR_RETURN(view->server_, LiveServer::Start(std::move(options)));
  return view;
}

std::string LiveView::Opening() {
  const std::lock_guard lock(mutex_);
  return history_.Text();
}

Status LiveView::Act(const std::string& body) {
  INDOUBT_ASSIGN_OR_RETURN(const HandRequest request, ParseRequest(body));
  return hand_.Ask(request);
}

void LiveView::Begun(const Scenario& scenario, const std::string& folder) {
  std::string event = Event("run", {{"scenario", scenario.name},
                                    {"question", scenario.question},
                                    {"processes", Processes(scenario)},
                                    {"folder", folder}});
  {
    const std::lock_guard lock(mutex_);
    history_.SetRun(event);
  }
  server_->Send(std::move(event));
}

void LiveView::Happened(const RunProgress& progress, const std::string& what) {
  std::string event = Event("happened", {{"seq", ++seq_},
                                         {"elapsed_s", progress.elapsed_s},
                                         {"cell", progress.cell},
                                         {"rep", progress.rep},
                                         {"text", what}});
  {
    const std::lock_guard lock(mutex_);
    history_.AddHappening(event);
  }
  server_->Send(std::move(event));
}

void LiveView::Progress(const RunProgress& progress) {
  const std::string place = fmt::format("{} {}", progress.cell, progress.rep);
  if (std::exchange(place_, place) != place) {
    Happened(progress, fmt::format("repetition {} of {} begins", progress.rep, progress.reps));
  }
  if (!progress.event.empty()) Happened(progress, progress.event);
  std::string event = Event("sample", LiveSample(++seq_, progress, rate_.At(progress)));
  {
    const std::lock_guard lock(mutex_);
    history_.AddSample(progress.cell, progress.rep, event);
  }
  server_->SendSample(std::move(event));
}

void LiveView::Ended(const std::string& sentence, const std::string& report) {
  server_->Close(
      Event("ended", {{"text", sentence}, {"report", report.empty() ? json() : json(report)}}),
      kPatience);
}

}  // namespace indoubt
