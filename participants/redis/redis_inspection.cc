#include "participants/redis/redis_inspection.h"

#include <array>
#include <cstdlib>

#include <fmt/format.h>

namespace indoubt {
namespace {

struct Requirement {
  const char* setting;
  const char* value;
  const char* why;
};

constexpr std::array kDurability{
    Requirement{"appendonly", "yes", "a yes vote would not survive a crash"},
    Requirement{"appendfsync", "always", "a yes vote could be lost with the last second"},
    Requirement{"no-appendfsync-on-rewrite", "no", "a yes vote during a rewrite is not synced"},
    Requirement{"maxmemory-policy", "noeviction", "prepared branches could be evicted"}};

std::string InfoField(const std::string& info, const std::string& name) {
  const size_t at = info.find("\n" + name + ":");
  if (at == std::string::npos) return "";
  const size_t from = at + name.size() + 2;
  return info.substr(from, info.find('\r', from) - from);
}

/// Empty when the setting is as it must be.
std::string ProblemWith(const Requirement& required, const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 2) {
    return fmt::format("CONFIG GET {} is not answered; let this user run it (ACL +config|get)",
                       required.setting);
  }
  const std::string value = Text(*reply.element[1]);
  if (value == required.value) return "";
  return fmt::format("{} is {}: {}; CONFIG SET {} {}", required.setting, value, required.why,
                     required.setting, required.value);
}

}  // namespace

Result<PreflightReport> InspectRedis(RedisConnection& connection, RedisDurability durability) {
  std::vector<RedisArguments> questions{{"INFO"}};
  for (const Requirement& required : kDurability) {
    questions.push_back({"CONFIG", "GET", required.setting});
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto replies, connection.Send(questions));
  if (replies[0]->type != REDIS_REPLY_STRING) {
    return Status(StatusCode::kUnavailable,
                  "INFO is not answered: " + Text(*replies[0]) + "; let this user run it");
  }
  const std::string info = Text(*replies[0]);
  PreflightReport report;
  report.version = "Redis " + InfoField(info, "redis_version");
  if (std::atoi(InfoField(info, "redis_version").c_str()) < 7) {
    report.problems.push_back(report.version + " has no functions; use 7.0 or later");
    return report;
  }
  if (InfoField(info, "role") != "master") {
    report.problems.push_back("this server is a replica; connect to the master");
  }
  if (InfoField(info, "cluster_enabled") == "1") {
    report.problems.push_back("cluster mode is not supported; use a server without it");
  }
  for (size_t i = 0; i < kDurability.size(); ++i) {
    const std::string problem = ProblemWith(kDurability[i], *replies[i + 1]);
    if (problem.empty()) continue;
    if (durability == RedisDurability::kStrict) {
      report.problems.push_back(problem);
    } else {
      report.warnings.push_back("relaxed durability: " + problem);
    }
  }
  return report;
}

}  // namespace indoubt
