// An open file of the operating system.
#pragma once

#include <unistd.h>

namespace indoubt {

/// Closes the descriptor that it was given, unless that is negative: what open(2) gave.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace indoubt
