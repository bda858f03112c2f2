// Reads a TOML table key by key and remembers what was asked for, so that a key
// which nobody knows is an error with its line and column.
#pragma once

#include <set>
#include <string>
#include <vector>

#include <toml++/toml.h>

#include "base/clock.h"
#include "base/status.h"

namespace indoubt::cli {

/// Parses TOML text; kInvalidArgument reads "file:line:column: what is wrong".
Result<toml::table> ParseToml(const std::string& text, const std::string& path);

/// One table under reading. The first thing found wrong stays in status(); values
/// read after it are the fallbacks. Thread-compatible; borrows the table.
class TomlReader {
 public:
  TomlReader(const toml::table& table, std::string file, std::string prefix)
      : table_(table), file_(std::move(file)), prefix_(std::move(prefix)) {}

  bool Has(const std::string& key) const { return table_.contains(key); }
  std::string String(const std::string& key, const std::string& fallback);
  std::string RequiredString(const std::string& key);
  bool Bool(const std::string& key, bool fallback);
  Duration DurationOf(const std::string& key, Duration fallback);
  std::vector<std::string> RequiredStrings(const std::string& key);
  /// Empty when it is absent; else as RequiredStrings.
  std::vector<std::string> Strings(const std::string& key);
  /// The sub-table, or null when it is absent.
  const toml::table* Table(const std::string& key);

  /// The value of any type, or null when it is absent.
  const toml::node* Node(const std::string& key) { return Take(key); }

  /// "file:line:column: key", for who finds later that its value is wrong.
  std::string Place(const std::string& key) const;

  /// Says that `key`'s value is wrong.
  void Wrong(const std::string& key, const std::string& what);
  /// Complains of keys that nobody asked for, and returns the first error or Ok.
  Status Finish();

 private:
  const toml::node* Take(const std::string& key);
  void WrongAt(const toml::source_region& where, const std::string& key,
               const std::string& what);
  std::string PlaceAt(const toml::source_region& where, const std::string& key) const;

  const toml::table& table_;
  const std::string file_, prefix_;
  std::set<std::string> known_;
  Status status_;
};

}  // namespace indoubt::cli
