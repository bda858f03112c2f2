// What this process has started and made and has to take away again: its children and its
// scratch folders. Their owners (Process, ScratchFolder) do that when they are destroyed;
// this list is for the end without that, as on a second Ctrl-C.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <sys/types.h>

namespace indoubt {

/// Notes the child that `start` starts and returns (a pid, or -1 when there is none).
/// `last_signal` makes it end by itself within moments, taking away what is its own;
/// SIGKILL where it has nothing of its own.
pid_t AddChild(const std::function<pid_t()>& start, int last_signal);
/// waitpid(WNOHANG): the status of a child that has ended, which is forgotten then; none
/// while it runs. Nobody else may reap it.
std::optional<int> ReapChild(pid_t child);

/// Notes the folder that `make` makes, and returns its path.
std::string AddScratchFolder(const std::function<std::string()>& make);
void ForgetScratchFolder(const std::string& path);

/// Ends every child, within about five seconds, and removes every folder. For the moment
/// before _exit: whoever calls one of the above from then on waits for ever, so that nothing
/// new comes about meanwhile. Call it from a thread that needs none of them. All of these
/// functions are thread-safe.
void TakeEverythingAway();

}  // namespace indoubt
