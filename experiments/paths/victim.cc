#include "experiments/paths/victim.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace indoubt {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(5);

bool Accepts(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool accepted =
      fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) close(fd);
  return accepted;
}

std::string LastWords(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  const std::string whole = text.str();
  return whole.size() > 500 ? whole.substr(whole.size() - 500) : whole;
}

}  // namespace

Status Victim::Start(ProcessSpec spec, const std::string& strike_point,
                     const std::string& arm_path) {
  arm_path_ = strike_point.empty() ? "" : arm_path;
  struck_at_.reset();
  output_path_ = spec.output_path;
  // Set in any case, so that none of this process' own reach the child.
  spec.environment["INDOUBT_FAILPOINT"] = strike_point.empty() ? "" : strike_point + "=kill";
  spec.environment["INDOUBT_FAILPOINT_ARM"] = arm_path_;
  if (!arm_path_.empty()) {
    std::error_code error;
    std::filesystem::remove(arm_path_, error);
    if (error) return Status(StatusCode::kIoError, "cannot remove " + arm_path_);
  }
  INDOUBT_ASSIGN_OR_RETURN(process_, Process::Start(spec));
  return Status::Ok();
}

Status Victim::Strike() {
  if (arm_path_.empty()) {
    return Status(
        StatusCode::kInvalidArgument,
        "no fail point is armed in this process; give the fault a point for this path");
  }
  std::ofstream file(arm_path_);
  file << "now\n";
  file.close();
  return file ? Status::Ok() : Status(StatusCode::kIoError, "cannot write " + arm_path_);
}

void Victim::Disarm() {
  std::error_code ignored;  // it is not there unless Strike wrote it
  if (!arm_path_.empty()) std::filesystem::remove(arm_path_, ignored);
}

std::optional<TimePoint> Victim::StruckAt() {
  if (struck_at_ || process_ == nullptr) return struck_at_;
  const std::optional<ExitState> end = process_->Wait(SystemClock().Now());
  if (end && end->by_signal && end->code == SIGKILL) struck_at_ = SystemClock().Now();
  return struck_at_;
}

Status Victim::Kill() {
  if (!Running()) return Status(StatusCode::kUnavailable, "the process to be killed has ended");
  process_->Signal(SIGKILL);
  return Status::Ok();
}

Status Victim::Pause() {
  if (!Running())
    return Status(StatusCode::kUnavailable, "the process to be stopped has ended");
  process_->Signal(SIGSTOP);
  return Status::Ok();
}

Status Victim::Resume() {
  if (!Running()) return Status(StatusCode::kUnavailable, "the stopped process has ended");
  process_->Signal(SIGCONT);
  return Status::Ok();
}

bool Victim::Paused() {
  if (!Running()) return false;
  // proc(5): the state follows the name, which is in parentheses and may hold anything.
  std::ifstream file(fmt::format("/proc/{}/stat", process_->pid()));
  std::string line;
  std::getline(file, line);
  const size_t name_ends = line.rfind(')');
  return name_ends != std::string::npos && name_ends + 2 < line.size() &&
         line[name_ends + 2] == 'T';
}

Status Victim::CheckAlive(const std::string& who) {
  if (Running()) return Status::Ok();
  return Status(StatusCode::kInternal,
                fmt::format("the {} ended although nobody asked for it: {}", who,
                            LastWords(output_path_)));
}

Status Victim::Stop(Duration limit) {
  if (process_ == nullptr) return Status::Ok();
  process_->Signal(SIGTERM);
  process_->Signal(SIGCONT);  // one that stands still would not hear the other
  const std::optional<ExitState> end = process_->Wait(SystemClock().Now() + limit);
  process_.reset();
  if (!end) {
    return Status(StatusCode::kDeadlineExceeded,
                  "a process of the path did not stop on SIGTERM and was killed");
  }
  if (!end->by_signal && end->code == 0) return Status::Ok();
  if (struck_at_) return Status::Ok();  // its death was asked for
  return Status(StatusCode::kInternal, fmt::format("a process of the path ended with {} {}: {}",
                                                   end->by_signal ? "signal" : "exit code",
                                                   end->code, LastWords(output_path_)));
}

Status AwaitSocket(const std::string& path, Victim& victim, const std::string& output_path,
                   TimePoint deadline) {
  while (!Accepts(path)) {
    if (!victim.Running()) {
      return Status(
          StatusCode::kUnavailable,
          fmt::format("the process ended before it served: {}", LastWords(output_path)));
    }
    if (SystemClock().Now() > deadline) {
      return Status(StatusCode::kDeadlineExceeded,
                    fmt::format("nothing serves at {}: {}", path, LastWords(output_path)));
    }
    std::this_thread::sleep_for(kPoll);
  }
  return Status::Ok();
}

}  // namespace indoubt
