#include "base/small_file.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/descriptor.h"

namespace indoubt {
namespace {

constexpr size_t kMost = 1u << 20;

Status Unreadable(const std::string& path) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
}

}  // namespace

Result<std::string> ReadSmallFile(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Unreadable(path);
  std::string text;
  std::array<char, 16384> piece{};
  for (;;) {
    const ssize_t got = read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unreadable(path);
    if (got == 0) return text;
    text.append(piece.data(), static_cast<size_t>(got));
    if (text.size() <= kMost) continue;
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: is larger than 1 MiB, which no file of this kind is", path));
  }
}

}  // namespace indoubt
