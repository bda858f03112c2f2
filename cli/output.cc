#include "cli/output.h"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>

namespace indoubt::cli {
namespace {

std::string Hex(const std::string& bytes) {
  std::string text = "\\x";
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return text;
}

/// JSON has no word for the others; without one they would be null, as a NULL is.
Json ToJsonNumber(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return number;
}

}  // namespace

int Fail(const Status& status, bool json) {
  Note("indoubt: " + status.message());
  if (json) PrintError(ToString(status.code()), status.message());
  return ExitCodeFor(status);
}

void PrintError(const std::string& code, const std::string& message) {
  PrintJson({{"error", {{"code", code}, {"message", message}}}});
}

void PrintJson(const Json& json) {
  // A text that a store holds need not be UTF-8.
  PrintLine(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void PrintLine(const std::string& line) {
  // A failure is kept by the stream, for FinishOutput.
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

void Note(const std::string& line) {
  // Nobody is left to tell that stderr cannot be written.
  std::fputs((line + "\n").c_str(), stderr);
}

bool FinishOutput() { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

const char* DecisionWord(DecisionOutcome outcome) {
  switch (outcome) {
    case DecisionOutcome::kCommitted:
      return "committed";
    case DecisionOutcome::kAborted:
      return "rolled_back";
    case DecisionOutcome::kUnknown:
      break;
  }
  return "unknown";
}

Json ToJson(const Value& value) {
  struct Visitor {
    Json operator()(std::monostate) const { return nullptr; }
    Json operator()(bool held) const { return held; }
    Json operator()(int64_t held) const { return held; }
    Json operator()(double held) const { return ToJsonNumber(held); }
    Json operator()(const std::string& held) const { return held; }
    Json operator()(const Blob& held) const { return Hex(held.bytes); }
    Json operator()(const std::vector<Value>& held) const {
      Json list = Json::array();
      for (const Value& item : held) list.push_back(ToJson(item));
      return list;
    }
  };
  return std::visit(Visitor{}, value.held);
}

Json ToJson(const std::vector<ParticipantOutcome>& participants) {
  Json list = Json::array();
  for (const ParticipantOutcome& participant : participants) {
    list.push_back({{"name", participant.name},
                    {"vote", participant.vote ? ToString(*participant.vote) : "none"},
                    {"ack", ToString(participant.ack)}});
  }
  return list;
}

Json ToJson(const TransactionOutcome& outcome) {
  Json results = Json::array();
  for (const StatementResult& result : outcome.results) {
    Json values = Json::array();
    for (const Value& value : result.values) values.push_back(ToJson(value));
    results.push_back(
        {{"rows", result.rows ? Json(*result.rows) : Json()}, {"values", values}});
  }
  Json json{{"gid", outcome.gid},
            {"outcome", ToString(outcome.outcome)},
            {"reason", outcome.reason.empty() ? Json() : Json(outcome.reason)},
            {"elapsed_ms", std::chrono::duration<double, std::milli>(outcome.elapsed).count()},
            {"results", std::move(results)},
            {"participants", ToJson(outcome.participants)}};
  if (!outcome.warnings.empty()) json["warnings"] = outcome.warnings;
  if (outcome.asked_before) json["asked_before"] = true;
  return json;
}

}  // namespace indoubt::cli
