#include "base/crc32c.h"

#include <boost/crc.hpp>

#ifdef __x86_64__
#include <cstring>

#include <nmmintrin.h>
#endif

namespace indoubt {
namespace {

uint32_t Reflected(uint32_t value) {
  uint32_t reflected = 0;
  for (int bit = 0; bit < 32; ++bit) reflected |= (value >> bit & 1) << (31 - bit);
  return reflected;
}

#ifdef __x86_64__
// Every record is checksummed twice. A table costs 2.5 ns a byte here, a third of a
// commit's time when many share a sync; the instruction takes 8 bytes in three cycles.
__attribute__((target("sse4.2"))) uint32_t ByInstruction(std::string_view bytes,
                                                         uint32_t before) {
  uint64_t crc = ~before;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    crc = _mm_crc32_u64(crc, word);
  }
  auto narrow = static_cast<uint32_t>(crc);
  for (; left > 0; --left, ++at) {
    narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
  }
  return ~narrow;
}
#endif

}  // namespace

uint32_t Crc32cByTable(std::string_view bytes, uint32_t before) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc(
      Reflected(~before));
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

uint32_t Crc32c(std::string_view bytes, uint32_t before) {
#ifdef __x86_64__
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return ByInstruction(bytes, before);
#endif
  return Crc32cByTable(bytes, before);
}

}  // namespace indoubt
