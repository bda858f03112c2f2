#include "cli/run_progress.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "experiments/summary/judgement.h"

namespace indoubt::cli {
namespace {

constexpr double kLineSeconds = 5;
constexpr const char* kWriteOver = "\r\x1b[K";  // to the line's start, and clear it

std::string Words(Duration duration) {
  return DurationText(std::chrono::duration<double, std::milli>(duration).count());
}

std::string Seen(const Observed& observed) {
  std::string text;
  if (observed.in_doubt) {
    text += fmt::format(", {} in doubt", *observed.in_doubt);
    if (*observed.in_doubt > 0) {
      text += fmt::format(" (oldest {})", Words(observed.in_doubt_oldest));
    }
  }
  text += fmt::format(", {} waiting", observed.waiters);
  Duration lag{};
  for (const auto& [store, behind] : observed.lag) lag = std::max(lag, behind);
  if (lag > Duration{}) text += fmt::format(", lag {}", Words(lag));
  return text;
}

void Write(const std::string& text) {
  // Nobody is left to tell that stderr cannot be written.
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace

std::string ProgressText(const RunProgress& progress, std::optional<double> rate_per_s) {
  std::string text =
      fmt::format("[{:4.0f}s] {}/{} {} rep {} of {}: {}", progress.elapsed_s, progress.done + 1,
                  progress.total, progress.cell, progress.rep, progress.reps, progress.phase);
  if (progress.observed) {
    text += fmt::format(", {} committed", progress.committed);
    if (rate_per_s) text += fmt::format(", {:.0f}/s", *rate_per_s);
    text += fmt::format(", {} in flight", progress.in_flight) + Seen(*progress.observed);
  }
  if (!progress.fault.empty()) text += ", " + progress.fault;
  if (!progress.event.empty() && progress.event != progress.fault) {
    text += ": " + progress.event;
  }
  return text;
}

void ProgressLines::operator()(const RunProgress& progress) {
  if (quiet_) return;
  const std::string text = ProgressText(progress, rate_.At(progress).committed_per_s);
  const bool stays = !progress.event.empty() || progress.phase != phase_;
  phase_ = progress.phase;
  if (width_) {
    return Write(kWriteOver + (stays ? text + "\n" : text.substr(0, *width_ - 1)));
  }
  if (!stays && progress.elapsed_s < last_ + kLineSeconds) return;
  last_ = progress.elapsed_s;
  Write(text + "\n");
}

std::optional<size_t> TerminalWidth() {
  const char* no_color = std::getenv("NO_COLOR");
  winsize size{};
  if ((no_color != nullptr && *no_color != '\0') || isatty(STDERR_FILENO) == 0 ||
      ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) {
    return std::nullopt;
  }
  return size.ws_col;
}

}  // namespace indoubt::cli
