// What tells a request that is asked again from another one under the same id.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/executor.h"

namespace indoubt {

/// CRC-32C of the statements in their order: participants, texts, parameters with their types,
/// and the rows that each has to touch. Never 0, which stands for none. It is kept in the
/// decision log, so it must stay the same over versions. Two different requests agree by
/// chance once in 2^32: it finds mistakes, and is no proof.
uint32_t RequestDigest(const std::vector<AddressedStatement>& statements);

}  // namespace indoubt
