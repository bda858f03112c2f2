#include "faults/servers.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

namespace indoubt {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(5);
constexpr auto kStartLimit = std::chrono::seconds(60);
// initdb syncs a whole cluster, for which a busy disk takes its time.
constexpr auto kInitLimit = std::chrono::seconds(180);

/// Debian keeps a version's programs out of PATH; take the newest.
Result<std::string> PostgresBinFolder() {
  std::string best;
  int best_version = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version > best_version && access((entry.path() / "bin/initdb").c_str(), X_OK) == 0) {
      best_version = version;
      best = entry.path() / "bin";
    }
  }
  if (best.empty()) {
    return Status(StatusCode::kNotFound,
                  "no PostgreSQL server below /usr/lib/postgresql; run scripts/setup");
  }
  return best;
}

std::string PostgresUser() { return geteuid() == 0 ? "postgres" : ""; }

Status MakeFolder(const std::string& path, const std::string& owner) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return Status(StatusCode::kIoError,
                  fmt::format("cannot make folder {}: {}", path, strerror(errno)));
  }
  if (owner.empty()) return Status::Ok();
  const passwd* entry = getpwnam(owner.c_str());
  if (entry == nullptr || chown(path.c_str(), entry->pw_uid, entry->pw_gid) != 0) {
    return Status(StatusCode::kIoError, fmt::format("cannot give {} to user {}", path, owner));
  }
  return Status::Ok();
}

std::string Tail(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  const std::string whole = text.str();
  return whole.size() > 2000 ? whole.substr(whole.size() - 2000) : whole;
}

struct ProcessState {
  char state = 0;  // proc(5): 'Z' is a zombie
  pid_t parent = 0;
};

/// From /proc; none when there is no such process.
std::optional<ProcessState> StateOf(pid_t pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(stat, line);
  const size_t after_name = line.rfind(')');
  if (after_name == std::string::npos) return std::nullopt;
  std::istringstream rest(line.substr(after_name + 1));
  ProcessState found;
  rest >> found.state >> found.parent;
  return found;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t candidate = std::atoi(entry.path().filename().c_str());
    if (candidate <= 0) continue;
    const auto state = StateOf(candidate);
    if (state && state->parent == pid) children.push_back(candidate);
  }
  return children;
}

/// A zombie holds nothing any more, and stays for ever where nobody reaps orphans.
bool Gone(pid_t pid) {
  const auto state = StateOf(pid);
  return !state || state->state == 'Z' || state->state == 'X';
}

/// Removes the shared memory segment that a killed postmaster has named in its
/// postmaster.pid and nobody uses: the next start there would have done it.
void RemoveSharedMemory(const std::string& postmaster_pid) {
  constexpr int kLineOfSegment = 7;  // "key id", as pidfile.h of PostgreSQL says
  std::ifstream file(postmaster_pid);
  std::string line;
  for (int i = 0; i < kLineOfSegment; ++i) std::getline(file, line);
  std::istringstream segment(line);
  uint64_t key = 0;
  int id = 0;
  shmid_ds state{};
  if (!(segment >> key >> id) || shmctl(id, IPC_STAT, &state) != 0) return;
  const bool same = static_cast<uint32_t>(state.shm_perm.__key) == static_cast<uint32_t>(key);
  if (same && state.shm_nattch == 0) shmctl(id, IPC_RMID, nullptr);
}

std::string PostgresLine(const std::string& command) {
  // "postgres (PostgreSQL) 15.18 (Debian ...)"
  std::istringstream words(command);
  std::string word;
  for (int i = 0; i < 3; ++i) words >> word;
  return word;
}

}  // namespace

PostgresServer::PostgresServer(std::string folder, std::map<std::string, std::string> settings)
    : folder_(std::move(folder)), settings_(std::move(settings)) {}

PostgresServer::~PostgresServer() {
  StopImmediate();
  RemoveSharedMemory(data_folder() + "/postmaster.pid");
}

std::string PostgresServer::dsn(const std::string& database) const {
  return fmt::format("host={} user=postgres dbname={}", folder_, database);
}

Result<std::unique_ptr<PostgresServer>> PostgresServer::Start(
    const std::string& folder, const std::map<std::string, std::string>& settings,
    const std::map<std::string, std::string>& environment) {
  std::map<std::string, std::string> all{
      {"listen_addresses", ""},       {"fsync", "on"},
      {"synchronous_commit", "on"},   {"wal_level", "logical"},
      {"max_connections", "200"},     {"max_prepared_transactions", "200"},
      {"max_replication_slots", "8"}, {"max_wal_senders", "8"},
      {"shared_buffers", "128MB"},    {"log_min_messages", "warning"}};
  for (const auto& [name, value] : settings) all[name] = value;
  all["unix_socket_directories"] = folder + "/pg";
  std::unique_ptr<PostgresServer> server(new PostgresServer(folder + "/pg", std::move(all)));
  server->environment_ = environment;
  INDOUBT_ASSIGN_OR_RETURN(server->bin_, PostgresBinFolder());
  const TimePoint deadline = SystemClock().Now() + kInitLimit;
  INDOUBT_RETURN_IF_ERROR(MakeFolder(server->folder_, PostgresUser()));
  ProcessSpec version;
  version.argv = {server->bin_ + "/postgres", "--version"};
  version.user = PostgresUser();
  INDOUBT_ASSIGN_OR_RETURN(const std::string version_line, RunProgram(version, deadline));
  server->version_ = PostgresLine(version_line);
  ProcessSpec initdb;
  initdb.argv = {server->bin_ + "/initdb", "--pgdata",     server->data_folder(),
                 "--username=postgres",    "--auth=trust", "--encoding=UTF8",
                 "--locale=C.UTF-8"};
  initdb.user = PostgresUser();
  initdb.working_directory = "/";
  INDOUBT_ASSIGN_OR_RETURN([[maybe_unused]] const std::string output,
                           RunProgram(initdb, deadline));
  INDOUBT_RETURN_IF_ERROR(server->StartProcess({}));
  return server;
}

Status PostgresServer::StartProcess(const std::vector<std::string>& wrapper) {
  ProcessSpec spec;
  spec.argv = wrapper;
  for (const std::string& word : {bin_ + "/postgres", std::string("-D"), data_folder()}) {
    spec.argv.push_back(word);
  }
  for (const auto& [name, value] : settings_) {
    spec.argv.push_back("-c");
    spec.argv.push_back(fmt::format("{}={}", name, value));
  }
  spec.user = PostgresUser();
  spec.working_directory = "/";
  spec.output_path = log_path();
  spec.environment = environment_;
  spec.last_signal = SIGQUIT;  // it ends its backends, and gives back its shared memory
  INDOUBT_ASSIGN_OR_RETURN(process_, Process::Start(spec));
  const TimePoint deadline = SystemClock().Now() + kStartLimit;
  while (PQping(dsn().c_str()) != PQPING_OK) {
    if (!process_->Running() || SystemClock().Now() > deadline) {
      process_.reset();
      return Status(StatusCode::kUnavailable, fmt::format("PostgreSQL in {} did not start: {}",
                                                          folder_, Tail(log_path())));
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  return Status::Ok();
}

void PostgresServer::Kill() {
  if (!process_) return;
  // Stopped first: a backend that it starts between the look at its children and its death
  // would live on, and hold the shared memory that the next start wants.
  process_->Signal(SIGSTOP);
  const auto at_rest = [pid = process_->pid()] {
    const auto state = StateOf(pid);
    return !state || std::string_view("TtZX").find(state->state) != std::string_view::npos;
  };
  const TimePoint stopped_by = SystemClock().Now() + kStartLimit;
  while (!at_rest() && SystemClock().Now() < stopped_by) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const std::vector<pid_t> pids = ChildrenOf(process_->pid());
  process_->KillAndWait();
  for (const pid_t pid : pids) kill(pid, SIGKILL);
  const TimePoint deadline = SystemClock().Now() + kStartLimit;
  for (const pid_t pid : pids) {
    while (!Gone(pid) && SystemClock().Now() < deadline) {
      std::this_thread::sleep_for(kPollInterval);
    }
  }
  process_.reset();
}

void PostgresServer::StopImmediate() {
  if (!process_) return;
  process_->Signal(SIGQUIT);
  if (!process_->Wait(SystemClock().Now() + kStartLimit)) return Kill();
  process_.reset();
}

void PostgresServer::StopFast() {
  if (!process_) return;
  process_->Signal(SIGINT);
  if (!process_->Wait(SystemClock().Now() + kStartLimit)) return Kill();
  process_.reset();
}

bool PostgresServer::Answers(TimePoint deadline) {
  while (process_ && process_->Running()) {
    if (PQping(dsn().c_str()) == PQPING_OK) return true;
    if (SystemClock().Now() >= deadline) return false;
    std::this_thread::sleep_for(kPollInterval);
  }
  return false;
}

Status PostgresServer::Restart(const std::vector<std::string>& wrapper) {
  StopFast();
  return StartProcess(wrapper);
}

RedisServer::RedisServer(std::string folder, std::map<std::string, std::string> settings)
    : folder_(std::move(folder)), settings_(std::move(settings)) {}

RedisServer::~RedisServer() { Kill(); }

Result<std::unique_ptr<RedisServer>> RedisServer::Start(
    const std::string& folder, const std::map<std::string, std::string>& settings,
    const std::map<std::string, std::string>& environment) {
  std::map<std::string, std::string> all{{"port", "0"},
                                         {"bind", "127.0.0.1"},
                                         {"appendonly", "yes"},
                                         {"appendfsync", "always"},
                                         {"no-appendfsync-on-rewrite", "no"},
                                         {"save", ""},
                                         {"daemonize", "no"},
                                         {"maxmemory-policy", "noeviction"}};
  for (const auto& [name, value] : settings) all[name] = value;
  std::unique_ptr<RedisServer> server(new RedisServer(folder + "/redis", std::move(all)));
  server->environment_ = environment;
  server->settings_["dir"] = server->folder_;
  server->settings_["unixsocket"] = server->socket_path();
  server->settings_["unixsocketperm"] = "777";
  INDOUBT_RETURN_IF_ERROR(MakeFolder(server->folder_, ""));
  INDOUBT_RETURN_IF_ERROR(server->Restart());
  return server;
}

void RedisServer::Kill() { process_.reset(); }

Status RedisServer::Restart(const std::vector<std::string>& wrapper) {
  Kill();
  ProcessSpec spec;
  spec.argv = wrapper;
  spec.argv.emplace_back("redis-server");
  for (const auto& [name, value] : settings_) {
    spec.argv.push_back("--" + name);
    spec.argv.push_back(value);
  }
  spec.environment = environment_;
  spec.output_path = log_path();
  INDOUBT_ASSIGN_OR_RETURN(process_, Process::Start(spec));
  const TimePoint deadline = SystemClock().Now() + kStartLimit;
  for (;;) {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
        redisConnectUnix(socket_path().c_str()), redisFree);
    if (context && context->err == 0) {
      const std::unique_ptr<void, void (*)(void*)> raw(
          redisCommand(context.get(), "INFO everything"), freeReplyObject);
      const auto* reply = static_cast<redisReply*>(raw.get());
      if (reply != nullptr && reply->type != REDIS_REPLY_ERROR) {
        const std::string text(reply->str, reply->len);
        const size_t at = text.find("redis_version:");
        if (text.find("loading:1") == std::string::npos && at != std::string::npos) {
          version_ = text.substr(at + 14, text.find('\r', at) - at - 14);
          return Status::Ok();
        }
      }
    }
    if (!process_->Running() || SystemClock().Now() > deadline) {
      process_.reset();
      return Status(StatusCode::kUnavailable,
                    fmt::format("Redis in {} did not start: {}", folder_, Tail(log_path())));
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

}  // namespace indoubt
