// How an operation says that it failed: Status, and Result<T> for one that also
// returns something. Bugs are checks (base/check.h), not statuses.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace indoubt {

/// Why an operation failed, in classes that callers treat differently. The
/// command line maps them to exit codes (cli/exit_code.h).
enum class StatusCode {
  kOk,
  kInvalidArgument,   // the caller's input or configuration is wrong
  kUnavailable,       // a store or server cannot be reached, or its reply was lost
  kRefused,           // reachable, but it cannot keep the promise asked of it
  kAborted,           // the transaction was refused or rolled back; nothing was written
  kDeadlineExceeded,  // the time ran out
  kLocked,            // somebody else holds it
  kNotFound,
  kCorrupt,      // bytes are not what was written
  kIoError,      // the operating system refused a read, write or sync
  kUnsupported,  // understood, and not offered here
  kInternal,     // should not happen; a library said something unexpected
};

/// The lower-case name of a code, e.g. "deadline exceeded".
const char* ToString(StatusCode code);

/// Success, or a code with a message for a person: what failed, on what, and
/// what to do next. A value; thread-compatible.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status Ok() { return Status(); }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  /// The same status with `context` and ": " before its message.
  Status WithContext(const std::string& context) const;
  /// "code: message", or "ok".
  std::string ToString() const;

  friend bool operator==(const Status&, const Status&) = default;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

/// A T or the Status that tells why there is none. Members are named as those
/// of std::expected, which GCC 12 does not have in C++20.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  // Both implicit, so that `return value;` and `return status;` read as they should.
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Status error) : state_(std::in_place_index<1>, std::move(error)) {
    INDOUBT_CHECK(!std::get<1>(state_).ok(), "a Result without a value needs an error");
  }

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return Get(); }
  const T& value() const& { return const_cast<Result*>(this)->Get(); }
  T&& value() && { return std::move(Get()); }
  T& operator*() & { return Get(); }
  const T& operator*() const& { return const_cast<Result*>(this)->Get(); }
  T&& operator*() && { return std::move(Get()); }
  T* operator->() { return &Get(); }
  const T* operator->() const { return &const_cast<Result*>(this)->Get(); }

  template <typename U>
  T value_or(U&& fallback) const& {
    return has_value() ? std::get<0>(state_) : static_cast<T>(std::forward<U>(fallback));
  }

  const Status& error() const {
    INDOUBT_CHECK(!has_value(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }
  /// Ok, or the error.
  Status status() const { return has_value() ? Status::Ok() : std::get<1>(state_); }

 private:
  T& Get() {
    INDOUBT_CHECK(has_value(), std::get<1>(state_).ToString());
    return std::get<0>(state_);
  }

  std::variant<T, Status> state_;
};

}  // namespace indoubt

/// Returns the status from the enclosing function unless it is ok.
#define INDOUBT_RETURN_IF_ERROR(expression)                                      \
  do {                                                                           \
    if (::indoubt::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#define INDOUBT_CONCAT_INNER_(a, b) a##b
#define INDOUBT_CONCAT_(a, b) INDOUBT_CONCAT_INNER_(a, b)
/// `INDOUBT_ASSIGN_OR_RETURN(auto x, F());` binds the value or returns the error.
#define INDOUBT_ASSIGN_OR_RETURN(declaration, expression) \
  INDOUBT_ASSIGN_OR_RETURN_(INDOUBT_CONCAT_(result_, __LINE__), declaration, expression)
// The arguments are a declaration and names, which take no parentheses.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define INDOUBT_ASSIGN_OR_RETURN_(result, declaration, expression) \
  auto result = (expression);                                      \
  if (!result.has_value()) return result.error();                  \
  declaration = std::move(result).value()
// NOLINTEND(bugprone-macro-parentheses)
