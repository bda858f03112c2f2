#include "base/status.h"

namespace indoubt {

const char* ToString(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kInvalidArgument:
      return "invalid argument";
    case StatusCode::kUnavailable:
      return "unavailable";
    case StatusCode::kRefused:
      return "refused";
    case StatusCode::kAborted:
      return "aborted";
    case StatusCode::kDeadlineExceeded:
      return "deadline exceeded";
    case StatusCode::kLocked:
      return "locked";
    case StatusCode::kNotFound:
      return "not found";
    case StatusCode::kCorrupt:
      return "corrupt";
    case StatusCode::kIoError:
      return "I/O error";
    case StatusCode::kUnsupported:
      return "unsupported";
    case StatusCode::kInternal:
      return "internal error";
  }
  CheckFailed(__FILE__, __LINE__, "a known StatusCode", std::to_string(static_cast<int>(code)));
}

Status Status::WithContext(const std::string& context) const {
  return ok() ? *this : Status(code_, context + ": " + message_);
}

std::string Status::ToString() const {
  return ok() ? "ok" : std::string(indoubt::ToString(code_)) + ": " + message_;
}

}  // namespace indoubt
