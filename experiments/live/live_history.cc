#include "experiments/live/live_history.h"

#include <algorithm>
#include <utility>

namespace indoubt {
namespace {

constexpr size_t kMostCells = 4;
constexpr size_t kMostSamples = 400;
constexpr size_t kMostHappenings = 100;

}  // namespace

LiveHistory::Cell& LiveHistory::CellFor(const std::string& name, int rep) {
  if (!cells_.empty() && cells_.back().name == name && cells_.back().rep == rep) {
    return cells_.back();
  }
  std::erase_if(cells_, [&](const Cell& cell) { return cell.name == name; });
  cells_.push_back({name, rep, 1, 0, {}});
  if (cells_.size() > kMostCells) cells_.pop_front();
  return cells_.back();
}

void LiveHistory::AddSample(const std::string& cell, int rep, std::string event) {
  Cell& under_way = CellFor(cell, rep);
  newest_ = event;
  if (++under_way.skipped < under_way.stride) return;
  under_way.skipped = 0;
  under_way.samples.push_back(std::move(event));
  if (under_way.samples.size() < kMostSamples) return;
  for (size_t i = 0; 2 * i < kMostSamples; ++i) {
    std::swap(under_way.samples[i], under_way.samples[2 * i]);
  }
  under_way.samples.resize(kMostSamples / 2);
  under_way.stride *= 2;
}

void LiveHistory::AddHappening(std::string event) {
  happenings_.push_back(std::move(event));
  if (happenings_.size() > kMostHappenings) happenings_.pop_front();
}

std::string LiveHistory::Text() const {
  std::string text = run_;
  for (const Cell& cell : cells_) {
    for (const std::string& sample : cell.samples) text += sample;
  }
  text += newest_;
  for (const std::string& happening : happenings_) text += happening;
  return text;
}

}  // namespace indoubt
