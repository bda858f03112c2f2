#include "recovery/spare_segment.h"

#include <utility>

namespace indoubt {

SpareSegment::SpareSegment(FileSystem& files, std::string folder)
    : files_(files), folder_(std::move(folder)) {}

SpareSegment::~SpareSegment() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (maker_.joinable()) maker_.join();
  if (spare_.file) Remove();
}

void SpareSegment::Want(uint64_t size) {
  if (size < kWorthwhileBytes) return;
  {
    const std::lock_guard lock(mutex_);
    if (wanted_ || failed_ || spare_.file) return;
    wanted_ = size;
    if (!maker_.joinable()) maker_ = std::thread([this] { Run(); });
  }
  changed_.notify_all();
}

BlankSegment SpareSegment::Take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !wanted_; });
  failed_ = false;
  return std::exchange(spare_, {});
}

void SpareSegment::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || wanted_; });
    if (!wanted_) return;
    const uint64_t size = *wanted_;
    lock.unlock();
    Result<BlankSegment> made = MakeBlankSegment(files_, folder_, size, /*synced=*/true);
    if (!made) Remove();
    lock.lock();
    failed_ = !made;
    if (made) spare_ = std::move(*made);
    wanted_.reset();
    changed_.notify_all();
  }
}

// Best effort: the next start removes it too.
void SpareSegment::Remove() {
  (void)files_.Remove(folder_ + "/" + std::string(log_format::kUnfinishedName)).ok();
}

}  // namespace indoubt
