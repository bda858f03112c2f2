#include "experiments/faults/path_faults.h"

#include <utility>

namespace indoubt {
namespace {

class KillFault final : public Fault {
 public:
  KillFault(Path& path, std::string point) : path_(path), point_(std::move(point)) {}

  std::string target() const override { return path_.victim(); }
  std::string point() const override { return point_; }
  std::string struck_word() const override { return "killed"; }
  std::string healed_word() const override { return "restarted"; }
  Status Strike() override { return path_.Strike(); }
  std::optional<TimePoint> StruckAt() override { return path_.StruckAt(); }
  Status Withdraw() override {
    path_.Disarm();
    return Status::Ok();
  }
  Status Heal() override { return path_.Restart(""); }

 private:
  Path& path_;
  const std::string point_;
};

class PauseFault final : public Fault {
 public:
  explicit PauseFault(Path& path) : path_(path) {}

  std::string target() const override { return path_.victim(); }
  std::string struck_word() const override { return "stopped"; }
  std::string healed_word() const override { return "goes on"; }
  Status Strike() override { return path_.Pause(); }
  std::optional<TimePoint> StruckAt() override {
    if (!struck_at_ && path_.Paused()) struck_at_ = SystemClock().Now();
    return struck_at_;
  }
  Status Heal() override { return path_.Resume(); }

 private:
  Path& path_;
  std::optional<TimePoint> struck_at_;
};

}  // namespace

std::unique_ptr<Fault> MakeKillFault(Path& path, std::string point) {
  return std::make_unique<KillFault>(path, std::move(point));
}

std::unique_ptr<Fault> MakePauseFault(Path& path) { return std::make_unique<PauseFault>(path); }

}  // namespace indoubt
