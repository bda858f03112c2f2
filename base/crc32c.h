// CRC-32C (Castagnoli), the checksum of durable records.
#pragma once

#include <cstdint>
#include <string_view>

namespace indoubt {

/// CRC-32C of `bytes` as in RFC 3720, appendix B.4: reflected, initial value and
/// final xor 0xffffffff. "123456789" gives 0xe3069283. `before` is the CRC of what
/// stands before `bytes`, whose CRC together is then the result.
uint32_t Crc32c(std::string_view bytes, uint32_t before = 0);

/// The same without the processor's instruction for it: what Crc32c does where there is
/// none.
uint32_t Crc32cByTable(std::string_view bytes, uint32_t before = 0);

}  // namespace indoubt
