// A coordinator in a process of its own, which is killed with SIGKILL: at any moment, or
// when the test says so. Made with fork(): the parent has no participant open at that moment.
#pragma once

#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "tests/participants/contract_calls.h"
#include "tests/participants/contract_store.h"

namespace indoubt {

/// Bytes as one word of a line, which is never empty.
inline std::string ToHex(const std::string& bytes) {
  std::string text = "x";
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}
inline std::string FromHex(const std::string& text) {
  std::string bytes;
  for (size_t i = 1; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// A child process that runs `body` and is killed. What it writes to the descriptor that
/// `body` is given survives it, as a synced log would.
class DoomedProcess {
 public:
  explicit DoomedProcess(const std::function<void(int)>& body) {
    int ends[2];
    INDOUBT_CHECK(pipe(ends) == 0, "a pipe");
    pid_ = fork();
    INDOUBT_CHECK(pid_ >= 0, "a process");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(ends[0]);
      body(ends[1]);
      for (;;) pause();  // it ends by being killed only
    }
    close(ends[1]);
    from_ = ends[0];
  }
  ~DoomedProcess() {
    Kill();
    close(from_);
  }
  DoomedProcess(const DoomedProcess&) = delete;
  DoomedProcess& operator=(const DoomedProcess&) = delete;

  /// Whether it wrote something by then.
  bool AwaitWritten(Duration limit = std::chrono::seconds(30)) {
    pollfd wait{from_, POLLIN, 0};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
    return poll(&wait, 1, static_cast<int>(ms)) == 1 && (wait.revents & POLLIN) != 0;
  }

  /// Whether `text` is in what it wrote by then.
  bool AwaitText(std::string_view text, Duration limit = std::chrono::seconds(30)) {
    const TimePoint deadline = SystemClock().Now() + limit;
    while (written_.find(text) == std::string::npos) {
      const Duration left = deadline - SystemClock().Now();
      if (left <= Duration{} || !AwaitWritten(left) || !ReadSome()) return false;
    }
    return true;
  }

  /// SIGKILL; returns everything that it wrote.
  std::string Kill() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      pid_ = -1;
    }
    while (ReadSome()) {
    }
    return std::exchange(written_, {});
  }

 private:
  /// Waits for some more; false when there will be none.
  bool ReadSome() {
    char buffer[4096];
    const ssize_t got = read(from_, buffer, sizeof buffer);
    if (got > 0) written_.append(buffer, static_cast<size_t>(got));
    return got > 0;
  }

  std::string written_;
  pid_t pid_ = -1;
  int from_ = -1;
};

/// Writes to what a DoomedProcess was given.
inline void WriteLine(int to, const std::string& line) {
  INDOUBT_CHECK(write(to, line.data(), line.size()) == static_cast<ssize_t>(line.size()),
                "the log is a pipe with room");
}

/// Commits, and every third time rolls back, an increment of "a" by 1, one after another.
/// Its log is a pipe: "begun GID", then "commit GID TOKEN" before anybody is told.
class DoomedCoordinator {
 public:
  struct Log {
    std::set<Gid> begun;
    std::map<Gid, Token> committed;
  };

  DoomedCoordinator(ContractStore& store, int incarnation)
      : process_([&store, incarnation](int log) {
          const auto participant = store.MakeParticipant();
          Run(store, *participant, static_cast<uint32_t>(incarnation), log);
        }) {}

  /// Whether it came so far within `limit`; may be asked again.
  bool AwaitFirstTransaction(Duration limit) { return process_.AwaitWritten(limit); }
  bool AwaitFirstDecision(Duration limit) { return process_.AwaitText("\ncommit ", limit); }

  Log Kill() {
    Log log;
    std::istringstream lines(process_.Kill());
    for (std::string line; std::getline(lines, line);) {
      if (lines.eof()) break;  // torn: it was not told to anybody
      std::istringstream words(line);
      std::string what, gid, token;
      words >> what >> gid >> token;
      if (what == "begun") log.begun.insert(*Gid::Parse(gid));
      if (what == "commit") log.committed[*Gid::Parse(gid)] = FromHex(token);
    }
    return log;
  }

 private:
  static void Run(ContractStore& store, Participant& participant, uint32_t incarnation,
                  int log) {
    const LogId id = LogId::Random();
    for (uint64_t number = 1;; ++number) {
      const Gid gid{
          .node = "contract", .log = id, .incarnation = incarnation, .number = number};
      WriteLine(log, "begun " + gid.ToString() + "\n");
      const PrepareReply reply = PrepareNow(participant, gid, {store.Add("a", 1)});
      if (reply.vote.kind != VoteKind::kYes || number % 3 == 0) {
        RollbackNow(participant, gid, reply.vote.token);
        continue;
      }
      WriteLine(log, "commit " + gid.ToString() + " " + ToHex(reply.vote.token) + "\n");
      CommitNow(participant, gid, reply.vote.token);
    }
  }

  DoomedProcess process_;
};

}  // namespace indoubt
