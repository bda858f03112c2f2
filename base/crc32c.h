// CRC-32C (Castagnoli), the checksum of everything durable here.
#pragma once

#include <cstdint>
#include <string_view>

namespace indoubt {

/// CRC-32C of `bytes`: reflected polynomial 0x1EDC6F41, initial and final
/// value 0xFFFFFFFF (RFC 3720, appendix B.4). "123456789" gives 0xE3069283.
uint32_t Crc32c(std::string_view bytes);

}  // namespace indoubt
