#include "tests/participants/sqlite/failing_disk.h"

#include <mutex>
#include <new>
#include <optional>
#include <string_view>

#include <sqlite3.h>

#include "base/check.h"

namespace indoubt {
namespace {

/// What is armed, of the whole program: SQLite's file layer is one for all.
struct Plan {
  std::mutex mutex;
  std::optional<DiskFault> fault;  // guarded by mutex, as all of it
  int seen = 0;
  int strikes = 0;
};
Plan& ThePlan() {
  static Plan plan;
  return plan;
}

sqlite3_vfs* TheRealOne(sqlite3_vfs* vfs) { return static_cast<sqlite3_vfs*>(vfs->pAppData); }

/// SQLite allocates szOsFile bytes: this, and the real file behind it.
struct File {
  sqlite3_file base;
  const char* name;  // null: a temporary file. SQLite keeps it while the file is open
  sqlite3_file* real;
};
File* ToFile(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* Real(sqlite3_file* file) { return ToFile(file)->real; }

/// What the call has to fail with; SQLITE_OK: let it through.
int Struck(const File& file, DiskFault::Call call) {
  Plan& plan = ThePlan();
  const std::lock_guard lock(plan.mutex);
  const std::string_view name = file.name == nullptr ? "" : file.name;
  if (!plan.fault || plan.fault->call != call || !name.ends_with(plan.fault->suffix)) {
    return SQLITE_OK;
  }
  ++plan.seen;
  const DiskFault& fault = *plan.fault;
  if (plan.seen != fault.turn && !(fault.lasting && plan.seen > fault.turn)) return SQLITE_OK;
  ++plan.strikes;
  return fault.code;
}

int Close(sqlite3_file* file) { return Real(file)->pMethods->xClose(Real(file)); }
int Read(sqlite3_file* file, void* to, int bytes, sqlite3_int64 at) {
  const int struck = Struck(*ToFile(file), DiskFault::Call::kRead);
  if (struck != SQLITE_OK) return struck;
  return Real(file)->pMethods->xRead(Real(file), to, bytes, at);
}
int Write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 at) {
  const int struck = Struck(*ToFile(file), DiskFault::Call::kWrite);
  const int written = struck == SQLITE_OK ? bytes : bytes / 2;
  const int code = Real(file)->pMethods->xWrite(Real(file), from, written, at);
  return struck == SQLITE_OK ? code : struck;
}
int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  return Real(file)->pMethods->xTruncate(Real(file), size);
}
int Sync(sqlite3_file* file, int flags) {
  const int struck = Struck(*ToFile(file), DiskFault::Call::kSync);
  return struck != SQLITE_OK ? struck : Real(file)->pMethods->xSync(Real(file), flags);
}
int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Real(file)->pMethods->xFileSize(Real(file), size);
}
int Lock(sqlite3_file* file, int level) {
  return Real(file)->pMethods->xLock(Real(file), level);
}
int Unlock(sqlite3_file* file, int level) {
  return Real(file)->pMethods->xUnlock(Real(file), level);
}
int CheckReservedLock(sqlite3_file* file, int* held) {
  return Real(file)->pMethods->xCheckReservedLock(Real(file), held);
}
int FileControl(sqlite3_file* file, int what, void* with) {
  return Real(file)->pMethods->xFileControl(Real(file), what, with);
}
int SectorSize(sqlite3_file* file) { return Real(file)->pMethods->xSectorSize(Real(file)); }
int Characteristics(sqlite3_file* file) {
  return Real(file)->pMethods->xDeviceCharacteristics(Real(file));
}
int ShmMap(sqlite3_file* file, int page, int size, int extend, void volatile** to) {
  return Real(file)->pMethods->xShmMap(Real(file), page, size, extend, to);
}
int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
  return Real(file)->pMethods->xShmLock(Real(file), offset, count, flags);
}
void ShmBarrier(sqlite3_file* file) { Real(file)->pMethods->xShmBarrier(Real(file)); }
int ShmUnmap(sqlite3_file* file, int remove) {
  return Real(file)->pMethods->xShmUnmap(Real(file), remove);
}

/// Version 2: without xFetch, so that every read comes by here.
constexpr sqlite3_io_methods kMethods{.iVersion = 2,
                                      .xClose = Close,
                                      .xRead = Read,
                                      .xWrite = Write,
                                      .xTruncate = Truncate,
                                      .xSync = Sync,
                                      .xFileSize = FileSize,
                                      .xLock = Lock,
                                      .xUnlock = Unlock,
                                      .xCheckReservedLock = CheckReservedLock,
                                      .xFileControl = FileControl,
                                      .xSectorSize = SectorSize,
                                      .xDeviceCharacteristics = Characteristics,
                                      .xShmMap = ShmMap,
                                      .xShmLock = ShmLock,
                                      .xShmBarrier = ShmBarrier,
                                      .xShmUnmap = ShmUnmap,
                                      .xFetch = nullptr,
                                      .xUnfetch = nullptr};

int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* opened = ::new (file) File{};
  opened->name = name;
  opened->real = reinterpret_cast<sqlite3_file*>(opened + 1);
  const int code =
      TheRealOne(vfs)->xOpen(TheRealOne(vfs), name, opened->real, flags, out_flags);
  // Without methods SQLite does not close it.
  opened->base.pMethods = opened->real->pMethods == nullptr ? nullptr : &kMethods;
  return code;
}

sqlite3_vfs& TheVfs() {
  static sqlite3_vfs vfs = [] {
    sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
    // All but opening is the real one's own affair: its functions look at no vfs.
    sqlite3_vfs made = *real;
    made.szOsFile = real->szOsFile + static_cast<int>(sizeof(File));
    made.pNext = nullptr;
    made.zName = "failing";
    made.pAppData = real;
    made.xOpen = Open;
    return made;
  }();
  return vfs;
}

}  // namespace

FailingDisk::FailingDisk() {
  INDOUBT_CHECK(sqlite3_vfs_register(&TheVfs(), /*makeDflt=*/1) == SQLITE_OK, "a file layer");
}

FailingDisk::~FailingDisk() {
  Heal();
  sqlite3_vfs_unregister(&TheVfs());
}

void FailingDisk::Arm(const DiskFault& fault) {
  const std::lock_guard lock(ThePlan().mutex);
  ThePlan().fault = fault;
  ThePlan().seen = ThePlan().strikes = 0;
}

void FailingDisk::Heal() {
  const std::lock_guard lock(ThePlan().mutex);
  ThePlan().fault.reset();
}

int FailingDisk::strikes() const {
  const std::lock_guard lock(ThePlan().mutex);
  return ThePlan().strikes;
}

}  // namespace indoubt
