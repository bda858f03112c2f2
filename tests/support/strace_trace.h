// Reading what strace wrote: one call after the other, in the order in which they
// ended, each with the lines at which it began and ended. strace lets no call go on
// before it has written its line, so within one trace, over all its processes, "ended
// on an earlier line than the other began" means "was over before it".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/status.h"

namespace indoubt::testing {

/// What touches files: enough to replay them.
inline constexpr std::string_view kFileCalls =
    "openat,write,pwrite64,writev,pwritev,pwritev2,fdatasync,fsync,ftruncate,fallocate,"
    "unlink,unlinkat,rename,renameat,renameat2";
/// What else carries bytes over a socket.
inline constexpr std::string_view kSocketCalls = "read,recvfrom,recvmsg,sendto,sendmsg";

/// The strace arguments whose output this file reads; put the program after them. The
/// tracer is a grandchild (-D), so that killing the process kills the program.
std::vector<std::string> StraceCommand(const std::string& output_path,
                                       const std::string& calls = std::string(kFileCalls));

/// One call that succeeded.
struct TracedCall {
  size_t began = 0, ended = 0;  // lines of the trace; the same when nothing came between
  std::string thread;
  std::string name;
  std::string arguments;  // as strace shows them, without the outer parentheses
  std::string result;     // of openat: with the path
};

/// Hands every finished and successful call of the trace over, in the order of their
/// ends. Stops at, and returns, the first error of `use`; kNotFound without a trace.
Status ReadTrace(const std::string& path, const std::function<Status(const TracedCall&)>& use);

/// Whether every thread of the process sleeps in a call. One whose call is over, and not in
/// the trace yet, runs or is held by its tracer; the other end may have its bytes already.
bool EveryThreadSleeps(pid_t pid);

/// Whether every thread that the trace names has ended, so that no more will come.
bool TraceHasEnded(const std::string& path);

/// strace -xx writes every byte of a string as \xHH.
std::string DecodeHex(std::string_view text);
/// The path in "5<\x2f...>", the first descriptor of `text`; a socket's is
/// "socket:[INODE]". Empty when there is none.
std::string PathOfDescriptor(const std::string& text);
/// The n-th quoted string of the arguments.
std::string Quoted(const std::string& arguments, int n);
/// All quoted strings of the arguments, one behind the other.
std::string AllQuoted(const std::string& arguments);
/// The last argument as a number.
uint64_t LastNumber(const std::string& arguments);

}  // namespace indoubt::testing
