// The records of every commit, a commit and an end, between their values and protobuf's
// bytes without a protobuf message between: that one costs a dozen allocations each
// time. The bytes are those of proto/records.proto, which a test compares.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "recovery/log_records.h"

namespace indoubt {

/// The body of a Record that holds this commit or end.
std::string EncodeWire(const Decision& decision);
std::string EncodeWire(const EndRecord& end);

/// Reads what EncodeWire writes. None for every other record, and for bytes that are in
/// another order or damaged: protobuf is to judge them.
std::optional<LogRecord> DecodeWire(std::string_view body);

}  // namespace indoubt
