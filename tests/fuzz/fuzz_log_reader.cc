// Any bytes as a segment of the decision log: inspected and opened. Every record has a
// checksum, so this is about what the reader makes of damage.
#include <cstdint>

#include "tests/fuzz/log_in_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace indoubt;  // NOLINT(google-build-using-namespace): a program's own file
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  // The file's name has to agree with the header for anything behind it to be read.
  const auto header = log_format::DecodeSegmentHeader(bytes);
  const uint64_t number = header ? header->number : 1;
  FakeFileSystem disk;
  fuzz::WriteSegment(disk, number, bytes);
  const auto shown = InspectLog(disk, fuzz::kFolder);
  INDOUBT_CHECK(shown.has_value(), shown.status().ToString());
  fuzz::OpenTwice(disk, number);
  return 0;
}
