// Child processes that can be killed: servers, coordinators, workers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/status.h"

namespace indoubt {

struct ProcessSpec {
  std::vector<std::string> argv;                   // argv[0] is looked up in PATH
  std::map<std::string, std::string> environment;  // added to this process' own
  std::string working_directory;                   // empty: inherited
  std::string output_path;    // stdout and stderr, appended; empty: inherited
  std::string stdout_path;    // stdout alone; empty: with output_path
  std::string user;           // run as this user, when this process is root
  bool pipe_stdin = false;    // stdin_fd() is then its standard input
  int last_signal = SIGKILL;  // when this process ends at once (faults/belongings.h)
};

struct ExitState {
  bool by_signal = false;
  int code = 0;  // exit code, or the signal's number
};

/// One child. It dies with this process (PR_SET_PDEATHSIG) and with this object
/// (SIGKILL). Thread-compatible. Start it from a thread that lives as long as it
/// should: the kernel ties the death signal to the starting thread.
class Process {
 public:
  /// kNotFound when the program does not exist.
  static Result<std::unique_ptr<Process>> Start(const ProcessSpec& spec);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  /// Write end of its standard input, -1 without pipe_stdin.
  int stdin_fd() const { return stdin_fd_; }
  /// Closes its standard input.
  void CloseStdin();
  void Signal(int signal);
  /// SIGKILL, and wait for the end.
  void KillAndWait();
  /// Whether it still runs (reaps it when not).
  bool Running();
  /// Waits for its end; none when it still runs at `deadline`.
  std::optional<ExitState> Wait(TimePoint deadline);

 private:
  Process(pid_t pid, int stdin_fd) : pid_(pid), stdin_fd_(stdin_fd) {}
  pid_t pid_;
  int stdin_fd_;
  std::optional<ExitState> ended_;
};

/// Runs a program to its end and returns its combined output; an error, with the
/// output's tail, when it does not exit 0 by `deadline` (then it is killed).
Result<std::string> RunProgram(const ProcessSpec& spec, TimePoint deadline);

/// A fresh folder for servers' data, removed with the object unless kept, and when this
/// process ends at once (faults/belongings.h). It lies below $INDOUBT_SCRATCH or /var/tmp
/// (not tmpfs), 0755 so that another user's server can reach what is inside.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& prefix);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }
  void Keep();
  /// Removed with the object as before, and kept when this process ends at once: what is
  /// inside settles something outside.
  void KeepAtOnce();

 private:
  std::string path_;
  bool keep_ = false;
};

}  // namespace indoubt
