// A file system that is soon full, for tests of what then happens.
#pragma once

#include <cstddef>
#include <string>

#include "base/status.h"

namespace indoubt::testing {

/// Gives this test program, and every process that it starts from now on, mounts of its
/// own: they vanish with it, whatever its end. As root, or in a user namespace where the
/// kernel lets anybody make one. Call it before there is a second thread. kUnsupported
/// says what is missing on this machine.
Status EnterOwnMounts();

/// An empty file system (tmpfs) of `bytes`, mounted on the folder while it lives. After
/// EnterOwnMounts. Aborts the test program when it cannot be mounted.
class SmallDisk {
 public:
  SmallDisk(std::string folder, size_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

 private:
  const std::string folder_;
};

/// Writes `path` until its file system is full.
void FillUp(const std::string& path);

}  // namespace indoubt::testing
