// Preloaded (LD_PRELOAD) into the processes whose disk is to give out: stands before the C
// library's writes and syncs, and fails or delays those of the files that the control page
// names. Everything else goes straight on to the kernel. It is loaded into programs that are
// not ours, and so uses nothing of C++'s library, allocates nothing and takes no lock.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "faults/disk_shim_control.h"

using indoubt::DiskShimControl;
using indoubt::DiskTrouble;

namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

DiskShimControl* control = nullptr;  // null: nobody asked for anything

__attribute__((constructor)) void Attach() {
  const char* const path = getenv(indoubt::kDiskShimVariable);
  if (path == nullptr) return;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* const page =
      mmap(nullptr, sizeof(DiskShimControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page == MAP_FAILED) return;
  control = static_cast<DiskShimControl*>(page);
  __atomic_add_fetch(&control->attached, 1, __ATOMIC_SEQ_CST);
}

bool Is(DiskTrouble trouble) {
  return control != nullptr &&
         __atomic_load_n(&control->trouble, __ATOMIC_ACQUIRE) == static_cast<int32_t>(trouble);
}

/// Whether `fd` is one of the struck files. Leaves errno as it is.
bool IsStruck(int fd) {
  const int before = errno;
  char link[32];
  char path[sizeof control->prefix];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path);
  errno = before;
  const size_t prefix = strlen(control->prefix);
  return length >= static_cast<ssize_t>(prefix) && memcmp(path, control->prefix, prefix) == 0;
}

void NoteAct() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t never = 0;
  __atomic_compare_exchange_n(&control->acted_at_ns, &never,
                              now.tv_sec * kNanosPerSecond + now.tv_nsec, false,
                              __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  __atomic_add_fetch(&control->acts, 1, __ATOMIC_SEQ_CST);
}

ssize_t FailWith(int error) {
  NoteAct();
  errno = error;
  return -1;
}

/// Of `size` bytes at `offset` those for which the file has room already: all of them unless
/// the disk is full, and `fd` a struck file that they would make longer.
size_t RoomFor(int fd, off64_t offset, size_t size) {
  struct stat64 file {};
  if (!Is(DiskTrouble::kFull) || !IsStruck(fd) || fstat64(fd, &file) != 0 ||
      !S_ISREG(file.st_mode)) {
    return size;
  }
  if (offset + static_cast<off64_t>(size) <= file.st_size) return size;
  return offset < file.st_size ? static_cast<size_t>(file.st_size - offset) : 0;
}

/// Where the next write() goes.
off64_t NextOffset(int fd) {
  struct stat64 file {};
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_APPEND) != 0 && fstat64(fd, &file) == 0) return file.st_size;
  return lseek64(fd, 0, SEEK_CUR);
}

size_t BytesOf(const iovec* parts, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += parts[i].iov_len;
  return bytes;
}

/// 0, or -1 with errno, for a sync that is not to be made; else makes it wait if it has to.
int BeforeSync(int fd) {
  if (Is(DiskTrouble::kSyncError) && IsStruck(fd)) return static_cast<int>(FailWith(EIO));
  if (!Is(DiskTrouble::kSlowSync) || !IsStruck(fd)) return 0;
  NoteAct();
  const int64_t latency = __atomic_load_n(&control->latency_ns, __ATOMIC_SEQ_CST);
  timespec left{.tv_sec = latency / kNanosPerSecond, .tv_nsec = latency % kNanosPerSecond};
  const int before = errno;
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
  errno = before;
  return 0;
}

/// Whether to reserve these bytes would need space that a full disk has not.
bool HasNoRoom(int fd, int mode, off64_t offset, off64_t size) {
  if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0 || size < 0) return false;  // gives space back
  return RoomFor(fd, offset, static_cast<size_t>(size)) < static_cast<size_t>(size);
}

}  // namespace

// Under names of our own, as the C library's headers declare these in ways of theirs. The
// *64 names are the same calls on this platform.
#define INDOUBT_SHIM(name) __asm__(name) __attribute__((visibility("default"), used))
extern "C" {

ssize_t ShimWrite(int fd, const void* bytes, size_t size) INDOUBT_SHIM("write");
ssize_t ShimPwrite(int fd, const void* bytes, size_t size, off64_t at) INDOUBT_SHIM("pwrite");
ssize_t ShimPwrite64(int fd, const void* bytes, size_t size, off64_t at)
    INDOUBT_SHIM("pwrite64");
ssize_t ShimWritev(int fd, const iovec* parts, int count) INDOUBT_SHIM("writev");
ssize_t ShimPwritev(int fd, const iovec* parts, int count, off64_t at) INDOUBT_SHIM("pwritev");
ssize_t ShimPwritev64(int fd, const iovec* parts, int count, off64_t at)
    INDOUBT_SHIM("pwritev64");
int ShimFallocate(int fd, int mode, off64_t at, off64_t size) INDOUBT_SHIM("fallocate");
int ShimFallocate64(int fd, int mode, off64_t at, off64_t size) INDOUBT_SHIM("fallocate64");
int ShimPosixFallocate(int fd, off64_t at, off64_t size) INDOUBT_SHIM("posix_fallocate");
int ShimPosixFallocate64(int fd, off64_t at, off64_t size) INDOUBT_SHIM("posix_fallocate64");
int ShimFsync(int fd) INDOUBT_SHIM("fsync");
int ShimFdatasync(int fd) INDOUBT_SHIM("fdatasync");
int ShimSyncFileRange(int fd, off64_t at, off64_t size, unsigned flags)
    INDOUBT_SHIM("sync_file_range");

ssize_t ShimWrite(int fd, const void* bytes, size_t size) {
  size_t room = size;
  if (Is(DiskTrouble::kFull) && size > 0 && IsStruck(fd)) {
    room = RoomFor(fd, NextOffset(fd), size);
  }
  if (room < size) {
    if (room == 0) return FailWith(ENOSPC);
    NoteAct();  // as a disk does: what still fits is written
  }
  return syscall(SYS_write, fd, bytes, room);
}

ssize_t ShimPwrite(int fd, const void* bytes, size_t size, off64_t at) {
  const size_t room = RoomFor(fd, at, size);
  if (room < size) {
    if (room == 0) return FailWith(ENOSPC);
    NoteAct();
  }
  return syscall(SYS_pwrite64, fd, bytes, room, at);
}

ssize_t ShimPwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  return ShimPwrite(fd, bytes, size, at);
}

// Of several parts all are written or none: a disk may do that too.
ssize_t ShimWritev(int fd, const iovec* parts, int count) {
  if (Is(DiskTrouble::kFull) && IsStruck(fd)) {
    const size_t bytes = BytesOf(parts, count);
    if (RoomFor(fd, NextOffset(fd), bytes) < bytes) return FailWith(ENOSPC);
  }
  return syscall(SYS_writev, fd, parts, count);
}

ssize_t ShimPwritev(int fd, const iovec* parts, int count, off64_t at) {
  if (Is(DiskTrouble::kFull)) {
    const size_t bytes = BytesOf(parts, count);
    if (RoomFor(fd, at, bytes) < bytes) return FailWith(ENOSPC);
  }
  // The kernel takes the offset in two halves, of which the first is whole on 64 bits.
  return syscall(SYS_pwritev, fd, parts, count, at, 0L);
}

ssize_t ShimPwritev64(int fd, const iovec* parts, int count, off64_t at) {
  return ShimPwritev(fd, parts, count, at);
}

int ShimFallocate(int fd, int mode, off64_t at, off64_t size) {
  if (HasNoRoom(fd, mode, at, size)) return static_cast<int>(FailWith(ENOSPC));
  return static_cast<int>(syscall(SYS_fallocate, fd, mode, at, size));
}

int ShimFallocate64(int fd, int mode, off64_t at, off64_t size) {
  return ShimFallocate(fd, mode, at, size);
}

// The C library's own: it writes zeros where the file system cannot reserve.
int ShimPosixFallocate(int fd, off64_t at, off64_t size) {
  if (HasNoRoom(fd, 0, at, size)) {
    NoteAct();
    return ENOSPC;
  }
  using Call = int (*)(int, off64_t, off64_t);
  const auto next = reinterpret_cast<Call>(dlsym(RTLD_NEXT, "posix_fallocate64"));
  return next == nullptr ? ENOSYS : next(fd, at, size);
}

int ShimPosixFallocate64(int fd, off64_t at, off64_t size) {
  return ShimPosixFallocate(fd, at, size);
}

int ShimFsync(int fd) {
  return BeforeSync(fd) != 0 ? -1 : static_cast<int>(syscall(SYS_fsync, fd));
}

int ShimFdatasync(int fd) {
  return BeforeSync(fd) != 0 ? -1 : static_cast<int>(syscall(SYS_fdatasync, fd));
}

int ShimSyncFileRange(int fd, off64_t at, off64_t size, unsigned flags) {
  if (BeforeSync(fd) != 0) return -1;
  return static_cast<int>(syscall(SYS_sync_file_range, fd, at, size, flags));
}

}  // extern "C"
