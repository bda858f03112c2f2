// What happened in a run, in its order: a hash always, lines for a person on demand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tests/simulation/event_queue.h"

namespace indoubt::simulation {

class Trace {
 public:
  Trace(const EventQueue& events, bool keep) : events_(events), keep_(keep) {}

  void Add(std::string_view what, std::string_view kind = {}, uint64_t a = 0, uint64_t b = 0,
           uint64_t c = 0) {
    const auto now = static_cast<uint64_t>(events_.Now().time_since_epoch().count());
    for (const char letter : what) Mix(static_cast<uint8_t>(letter));
    for (const char letter : kind) Mix(static_cast<uint8_t>(letter));
    for (const uint64_t number : {a, b, c, now}) Mix(number);
    if (!keep_) return;
    const double ms = static_cast<double>(now % 3'600'000'000'000ull) / 1e6;
    lines_.push_back(fmt::format("{:12.3f} {} {} {} {} {}", ms, what, kind, a, b, c));
  }

  uint64_t hash() const { return hash_; }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  void Mix(uint64_t value) {  // as in splitmix64
    hash_ += value + 0x9e3779b97f4a7c15ull;
    hash_ = (hash_ ^ (hash_ >> 30)) * 0xbf58476d1ce4e5b9ull;
    hash_ ^= hash_ >> 27;
  }

  const EventQueue& events_;
  const bool keep_;
  uint64_t hash_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace indoubt::simulation
