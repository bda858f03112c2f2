#include "faults/process.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "faults/belongings.h"

namespace indoubt {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(2);

struct User {
  uid_t uid;
  gid_t gid;
};

Result<std::optional<User>> LookUpUser(const std::string& name) {
  if (name.empty() || geteuid() != 0) return std::optional<User>();
  const passwd* entry = getpwnam(name.c_str());
  if (entry == nullptr) {
    return Status(StatusCode::kNotFound, fmt::format("no user {} on this machine", name));
  }
  return std::optional<User>(User{entry->pw_uid, entry->pw_gid});
}

/// Between fork and exec: only async-signal-safe calls, and initgroups, which is
/// done by the parent's lookup beforehand through setgroups.
[[noreturn]] void BecomeChild(const ProcessSpec& spec, const std::optional<User>& user,
                              char** argv, char** envp, pid_t parent, int stdin_fd,
                              int error_fd) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // A group of its own: Ctrl-C at the terminal is for the parent, which then ends its
  // children in its own order.
  setpgid(0, 0);
  const auto fail = [error_fd] {
    const int error = errno;
    [[maybe_unused]] const ssize_t n = write(error_fd, &error, sizeof error);
    _exit(127);
  };
  const int input = stdin_fd >= 0 ? stdin_fd : open("/dev/null", O_RDONLY);
  if (input < 0 || dup2(input, STDIN_FILENO) < 0) fail();
  if (!spec.output_path.empty()) {
    const int out = open(spec.output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) fail();
  }
  if (!spec.stdout_path.empty()) {
    const int out = open(spec.stdout_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (out < 0 || dup2(out, STDOUT_FILENO) < 0) fail();
  }
  if (!spec.working_directory.empty() && chdir(spec.working_directory.c_str()) != 0) fail();
  if (user &&
      (setgroups(1, &user->gid) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0)) {
    fail();
  }
  // After the change of user, which clears it. The parent may be gone already.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  // A socket of this process, kept open by a server that it started, would hide its end
  // from the peer.
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  execvpe(argv[0], argv, envp);
  fail();
  _exit(127);
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> MergedEnvironment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!added.contains(std::string(text.substr(0, text.find('='))))) merged.emplace_back(text);
  }
  for (const auto& [key, value] : added) merged.push_back(fmt::format("{}={}", key, value));
  return merged;
}

}  // namespace

Result<std::unique_ptr<Process>> Process::Start(const ProcessSpec& spec) {
  INDOUBT_CHECK(!spec.argv.empty(), "a process needs a program");
  INDOUBT_ASSIGN_OR_RETURN(const std::optional<User> user, LookUpUser(spec.user));
  int input[2] = {-1, -1};
  int error[2] = {-1, -1};
  if (pipe2(error, O_CLOEXEC) != 0 || (spec.pipe_stdin && pipe2(input, O_CLOEXEC) != 0)) {
    return Status(StatusCode::kIoError, fmt::format("cannot make a pipe: {}", strerror(errno)));
  }
  std::vector<std::string> argv = spec.argv;
  std::vector<std::string> environment = MergedEnvironment(spec.environment);
  std::vector<char*> argv_pointers = Pointers(argv);
  std::vector<char*> environment_pointers = Pointers(environment);
  const pid_t parent = getpid();
  int fork_error = 0;
  const auto start = [&] {
    const pid_t forked = fork();
    if (forked == 0) {
      BecomeChild(spec, user, argv_pointers.data(), environment_pointers.data(), parent,
                  input[0], error[1]);
    }
    fork_error = errno;
    return forked;
  };
  const pid_t pid = AddChild(start, spec.last_signal);
  close(error[1]);
  if (input[0] >= 0) close(input[0]);
  int child_error = 0;
  const ssize_t n = pid > 0 ? read(error[0], &child_error, sizeof child_error) : 0;
  close(error[0]);
  if (pid < 0 || n > 0) {
    if (pid > 0) Process(pid, -1).KillAndWait();
    if (input[1] >= 0) close(input[1]);
    const int why = pid < 0 ? fork_error : child_error;
    return Status(why == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError,
                  fmt::format("cannot start {}: {}", spec.argv[0], strerror(why)));
  }
  return std::unique_ptr<Process>(new Process(pid, input[1]));
}

Process::~Process() {
  KillAndWait();
  CloseStdin();
}

void Process::CloseStdin() {
  if (stdin_fd_ >= 0) close(stdin_fd_);
  stdin_fd_ = -1;
}

void Process::Signal(int signal) {
  if (Running()) kill(pid_, signal);
}

void Process::KillAndWait() {
  if (ended_) return;
  kill(pid_, SIGKILL);
  Wait(SystemClock().Now() + std::chrono::hours(1));
}

bool Process::Running() {
  if (ended_) return false;
  const std::optional<int> status = ReapChild(pid_);
  if (!status) return true;
  ended_ = WIFSIGNALED(*status) ? ExitState{true, WTERMSIG(*status)}
                                : ExitState{false, WEXITSTATUS(*status)};
  return false;
}

std::optional<ExitState> Process::Wait(TimePoint deadline) {
  while (Running()) {
    if (SystemClock().Now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(kPollInterval);
  }
  return ended_;
}

Result<std::string> RunProgram(const ProcessSpec& spec, TimePoint deadline) {
  ScratchFolder folder("indoubt-run");
  chmod(folder.path().c_str(), 0777);
  ProcessSpec captured = spec;
  captured.output_path = folder.path() + "/output";
  INDOUBT_ASSIGN_OR_RETURN(auto process, Process::Start(captured));
  const std::optional<ExitState> end = process->Wait(deadline);
  if (!end) process->KillAndWait();
  std::ostringstream output;
  output << std::ifstream(captured.output_path).rdbuf();
  if (end && !end->by_signal && end->code == 0) return output.str();
  const std::string text = output.str();
  const std::string tail = text.size() > 2000 ? text.substr(text.size() - 2000) : text;
  return Status(end ? StatusCode::kInternal : StatusCode::kDeadlineExceeded,
                fmt::format("{} {}: {}", spec.argv[0],
                            !end             ? std::string("did not end in time")
                            : end->by_signal ? fmt::format("died of signal {}", end->code)
                                             : fmt::format("exited {}", end->code),
                            tail));
}

ScratchFolder::ScratchFolder(const std::string& prefix) {
  const char* base = std::getenv("INDOUBT_SCRATCH");
  path_ = AddScratchFolder([&] {
    std::string path = fmt::format(
        "{}/{}-XXXXXX", base != nullptr && *base != '\0' ? base : "/var/tmp", prefix);
    INDOUBT_CHECK(mkdtemp(path.data()) != nullptr, "cannot make a folder like " + path);
    chmod(path.c_str(), 0755);
    return path;
  });
}

ScratchFolder::~ScratchFolder() {
  if (keep_) return;
  std::error_code ignored;  // a leftover in a scratch folder harms nobody
  std::filesystem::remove_all(path_, ignored);
  ForgetScratchFolder(path_);
}

void ScratchFolder::Keep() {
  keep_ = true;
  ForgetScratchFolder(path_);
}

void ScratchFolder::KeepAtOnce() { ForgetScratchFolder(path_); }

}  // namespace indoubt
