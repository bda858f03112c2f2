// indoubt explain: one transaction's story, from the records of its run.
#include <memory>

#include "cli/output.h"
#include "cli/verbs.h"
#include "experiments/explain/story.h"

namespace indoubt::cli {
namespace {

int Explain(const std::string& run, const std::string& gid, bool json) {
  const auto story = TellStory(run, gid);
  if (!story) return Fail(story.error(), json);
  if (!json) {
    PrintLine(StoryText(*story));
    return kDone;
  }
  Json lines = Json::array();
  for (const StoryLine& line : story->lines) {
    lines.push_back({{"at_ms", line.at_ms ? Json(*line.at_ms) : Json()}, {"text", line.text}});
  }
  PrintJson({{"gid", story->gid},
             {"cell", story->cell},
             {"repetition", story->repetition},
             {"lines", std::move(lines)}});
  return kDone;
}

}  // namespace

void AddExplain(Verb program) {
  Verb verb = program.Add("explain", "One transaction's story");
  auto run = std::make_shared<std::string>();
  auto gid = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  verb.Value("RUN", *run, "Folder of a run").Required();
  verb.Value("GID", *gid, "The transaction").Required();
  verb.Flag("--json", *json, "One JSON object on stdout");
  verb.Does([run, gid, json] { return Explain(*run, *gid, *json); });
}

}  // namespace indoubt::cli
