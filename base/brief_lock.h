// A lock of sections that are much shorter than falling asleep and being woken.
#pragma once

#include <mutex>

namespace indoubt {

/// Takes `mutex`, trying again for a few microseconds before it sleeps: where sections
/// take a fraction of one, a sleep costs both threads a hundred times as much.
inline std::unique_lock<std::mutex> LockBriefly(std::mutex& mutex) {
  std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
  for (int tries = 0; tries < 100 && !lock.owns_lock(); ++tries) {
    for (int pause = 0; pause < 8; ++pause) {
#ifdef __x86_64__
      __builtin_ia32_pause();
#endif
    }
    static_cast<void>(lock.try_lock());
  }
  if (!lock.owns_lock()) lock.lock();
  return lock;
}

}  // namespace indoubt
