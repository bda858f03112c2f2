// The names of transactions and of their branches.
//
// A gid says who may decide it: which node, which log of that node (a random
// identity made with the log), which incarnation of the coordinator on that log,
// and a number that is used once within the incarnation. Recovery acts only on
// gids of its own log.
//
//   gid     shop-1.k3j5x2a9qz.2.1f4        node.log.incarnation.number
//   gid     shop-1.k3j5x2a9qz.2.1f4.q4tz7  the same, decided in decision table q4tz7
//   branch  idt:shop-1.k3j5x2a9qz.2.1f4:ledger
//
// A gid also says where its decision lives: in that log, or, with a fifth part, in the
// decision table of a last resource. It is XA's gtrid and a participant's name its
// bqual: 64 bytes each at most. (63 are used: PostgreSQL cuts an application_name there.)
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/short_text.h"
#include "base/status.h"

namespace indoubt {

/// Longest name of a node or of a participant, in bytes; [A-Za-z0-9_-] only.
inline constexpr size_t kMaxNameLength = 32;

/// Longest name of a node that has a last resource: its gids have one part more.
inline constexpr size_t kMaxNodeLengthWithHome = 28;

/// Lengths of the identities of a decision log and of a decision table, in bytes.
inline constexpr size_t kLogIdLength = 10;
inline constexpr size_t kHomeLength = 5;

/// Whether `name` may name a node or a participant: [A-Za-z0-9_-]{1,32}.
bool IsValidName(std::string_view name);

/// The random identity of a decision log: 10 characters of [a-z2-7], 50 bits
/// from the kernel's random source.
class LogId {
 public:
  LogId() = default;
  static LogId Random();
  /// kInvalidArgument unless `text` is 10 characters of [a-z2-7].
  static Result<LogId> Parse(std::string_view text);
  /// Empty of a LogId that was only made. Lives as long as this.
  std::string_view text() const { return text_.view(); }
  friend auto operator<=>(const LogId&, const LogId&) = default;

 private:
  explicit LogId(std::string_view text) : text_(text) {}
  ShortText<kLogIdLength> text_;
};

/// Whether `text` may be the identity of a decision table: 5 characters of [a-z2-7].
bool IsValidHome(std::string_view text);
/// A new one: 25 bits from the kernel's random source.
std::string RandomHome();

/// A global transaction identifier. A value of 64 bytes, copied without a call; compares by
/// age within one log: an older incarnation first, then the smaller number.
struct Gid {
  ShortText<kMaxNameLength> node;  // [A-Za-z0-9_-]{1,32}
  LogId log;
  uint32_t incarnation = 0;  // at most 0xfffff
  uint64_t number = 0;       // at most 0xfffffffffff (44 bits)
  /// Where the decision lives: the identity of a last resource's decision table, or empty
  /// for the log. The number is unique without it.
  ShortText<kHomeLength> home{};

  /// Parses the text form. kInvalidArgument for anything ToString() cannot give,
  /// leading zeros included; never echoes more than 80 bytes of a bad input.
  static Result<Gid> Parse(std::string_view text);
  std::string ToString() const;
  friend auto operator<=>(const Gid&, const Gid&) = default;
  friend bool operator==(const Gid& a, const Gid& b) {
    // What differs most is compared first, and without a call.
    return a.number == b.number && a.incarnation == b.incarnation && a.home == b.home &&
           a.log == b.log && a.node == b.node;
  }
};
static_assert(std::is_trivially_copyable_v<Gid> && sizeof(Gid) == 64);

/// One participant's part of a transaction.
struct BranchId {
  Gid gid;
  std::string participant;  // [A-Za-z0-9_-]{1,32}

  /// Parses "idt:<gid>:<participant>". kNotFound when the text is not of this
  /// form at all (another program's branch).
  static Result<BranchId> Parse(std::string_view text);
  std::string ToString() const;
  friend auto operator<=>(const BranchId&, const BranchId&) = default;
};

/// What every branch name of this program starts with.
inline constexpr std::string_view kBranchPrefix = "idt:";

}  // namespace indoubt

template <>
struct std::hash<indoubt::Gid> {
  size_t operator()(const indoubt::Gid& gid) const noexcept;
};
