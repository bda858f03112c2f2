#include "experiments/environment.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sqlite3.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "experiments/stores/store_clients.h"
#include "faults/process.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr int kProbes = 200;
constexpr size_t kProbeBytes = 4096;

/// The value after "name : " in a file of /proc; null when there is none.
json ProcValue(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const size_t colon = line.find(':');
    const size_t value = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && value != std::string::npos) return line.substr(value);
  }
  return nullptr;
}

json MemoryGib() {
  const json kib = ProcValue("/proc/meminfo", "MemTotal");
  if (!kib.is_string()) return nullptr;
  return std::round(std::strtod(kib.get<std::string>().c_str(), nullptr) / 1024 / 1024 * 10) /
         10;
}

/// The type of the mount that holds `folder`: the longest mount point above it.
json FileSystemOf(const std::string& folder) {
  std::error_code error;
  const std::string path = std::filesystem::canonical(folder, error).string();
  if (error) return nullptr;
  std::ifstream mounts("/proc/mounts");
  std::string device, point, type, rest, best_type;
  size_t best = 0;
  while (mounts >> device >> point >> type && std::getline(mounts, rest)) {
    const bool above = path == point || point == "/" || path.starts_with(point + "/");
    if (above && point.size() >= best) {
      best = point.size();
      best_type = type;
    }
  }
  return best_type.empty() ? json(nullptr) : json(best_type);
}

json ProbeSync(const std::string& folder) {
  const std::string path = folder + "/fdatasync.probe";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return nullptr;
  const std::string block(kProbeBytes, 'x');
  std::vector<double> micros;
  for (int i = 0; i < kProbes; ++i) {
    const TimePoint from = SystemClock().Now();
    const bool done =
        write(fd, block.data(), block.size()) == static_cast<ssize_t>(block.size()) &&
        fdatasync(fd) == 0;
    if (!done) break;
    micros.push_back(static_cast<double>((SystemClock().Now() - from).count()) / 1e3);
  }
  close(fd);
  unlink(path.c_str());
  if (micros.empty()) return nullptr;
  std::sort(micros.begin(), micros.end());
  const auto rank = [&](double share) {
    return micros[static_cast<size_t>(share * static_cast<double>(micros.size() - 1))];
  };
  return {{"p50", rank(0.5)}, {"p90", rank(0.9)}, {"n", micros.size()}};
}

json GitSha(const std::string& binary) {
  ProcessSpec spec;
  spec.argv = {"git", "-C", std::filesystem::path(binary).parent_path().string(), "rev-parse",
               "HEAD"};
  const auto output = RunProgram(spec, SystemClock().Now() + std::chrono::seconds(5));
  if (!output || output->size() < 40) return nullptr;
  return output->substr(0, 40);
}

Result<std::string> RedisInfo(RedisClient& client) {
  INDOUBT_ASSIGN_OR_RETURN(const auto reply, client.Run({"INFO", "server"}));
  const std::string text(reply->str, reply->len);
  const size_t at = text.find("redis_version:");
  if (at == std::string::npos)
    return Status(StatusCode::kInternal, "Redis: INFO has no version");
  return text.substr(at + 14, text.find('\r', at) - at - 14);
}

Result<std::string> RedisSetting(RedisClient& client, const std::string& name) {
  INDOUBT_ASSIGN_OR_RETURN(const auto reply, client.Run({"CONFIG", "GET", name}));
  return reply->elements == 2 ? std::string(reply->element[1]->str) : "?";
}

/// The answer of PRAGMA synchronous in the words of https://sqlite.org/pragma.html.
std::string SynchronousName(const std::vector<Row>& answer) {
  static constexpr std::array<const char*, 4> kNames{"OFF", "NORMAL", "FULL", "EXTRA"};
  const std::string number = answer.at(0).at(0).value_or("?");
  const bool known = number.size() == 1 && number[0] >= '0' && number[0] <= '3';
  return known ? kNames.at(static_cast<size_t>(number[0] - '0')) : number;
}

}  // namespace

json DescribeMachine(const std::string& folder, const std::string& binary) {
  utsname kernel{};
  uname(&kernel);
#ifdef __OPTIMIZE__
  const char* build = "release";
#else
  const char* build = "debug";
#endif
  return {{"git_sha", GitSha(binary)},
          {"build", build},
          {"versions",
           {{"postgres", nullptr}, {"redis", nullptr}, {"sqlite", sqlite3_libversion()}}},
          {"cpu", ProcValue("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"memory_gib", MemoryGib()},
          {"kernel", fmt::format("{} {}", kernel.sysname, kernel.release)},
          {"filesystem", FileSystemOf(folder)},
          {"fdatasync_us", ProbeSync(folder)},
          {"durability", {{"postgres", nullptr}, {"redis", nullptr}, {"sqlite", nullptr}}}};
}

Status AddStores(const StoreEndpoints& stores, json& env) {
  INDOUBT_ASSIGN_OR_RETURN(const auto postgres, PostgresClient::Connect(stores.postgres_dsn));
  INDOUBT_ASSIGN_OR_RETURN(
      const auto settings,
      postgres->Query("SELECT split_part(current_setting('server_version'), ' ', 1), "
                      "current_setting('fsync'), current_setting('synchronous_commit')"));
  const Row& row = settings.at(0);
  env["versions"]["postgres"] = row[0].value_or("");
  env["durability"]["postgres"] =
      fmt::format("fsync={} synchronous_commit={}", row[1].value_or("?"), row[2].value_or("?"));
  INDOUBT_ASSIGN_OR_RETURN(const auto redis, RedisClient::Connect(stores.redis_uri));
  INDOUBT_ASSIGN_OR_RETURN(env["versions"]["redis"], RedisInfo(*redis));
  INDOUBT_ASSIGN_OR_RETURN(const std::string append, RedisSetting(*redis, "appendonly"));
  INDOUBT_ASSIGN_OR_RETURN(const std::string sync, RedisSetting(*redis, "appendfsync"));
  env["durability"]["redis"] = fmt::format("appendonly={} appendfsync={}", append, sync);
  INDOUBT_ASSIGN_OR_RETURN(const auto sqlite, SqliteClient::Open(stores.sqlite_path, false,
                                                                 std::chrono::seconds(5)));
  INDOUBT_ASSIGN_OR_RETURN(const auto mode, sqlite->Query("PRAGMA journal_mode"));
  std::string journal = mode.at(0).at(0).value_or("?");
  std::transform(journal.begin(), journal.end(), journal.begin(), ::toupper);
  INDOUBT_ASSIGN_OR_RETURN(const auto sync_mode, sqlite->Query("PRAGMA synchronous"));
  env["durability"]["sqlite"] = journal + " synchronous=" + SynchronousName(sync_mode);
  return Status::Ok();
}

}  // namespace indoubt
