// Reads a TOML table key by key and remembers the first thing that is wrong, with
// its place; unknown keys are wrong too.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include <toml++/toml.h>

#include "base/clock.h"
#include "base/status.h"

namespace indoubt {

/// One error for a whole document; the first one stands.
class ScenarioErrors {
 public:
  explicit ScenarioErrors(std::string origin) : origin_(std::move(origin)) {}
  void Add(const toml::source_region& where, const std::string& key, const std::string& what);
  const Status& status() const { return status_; }

 private:
  std::string origin_;
  Status status_;
};

/// One table of the document, called `name` in messages. A missing key leaves the
/// target as it is. Thread-compatible; the table must outlive it.
class ScenarioTable {
 public:
  ScenarioTable(const toml::table& table, std::string name, ScenarioErrors& errors)
      : table_(table), name_(std::move(name)), errors_(errors) {}

  bool Has(const std::string& key) const { return table_.contains(key); }
  /// Whether `key` is there and came from an override, not from the file.
  bool IsOverridden(const std::string& key) const;
  /// Says that `key` is missing unless it is there.
  void Require(const std::string& key);
  void Read(const std::string& key, std::string& into);
  void Read(const std::string& key, bool& into);
  void Read(const std::string& key, double& into, double low, double high);
  void Read(const std::string& key, int64_t& into, int64_t low, int64_t high);
  void Read(const std::string& key, Duration& into);  // "5s"
  void Read(const std::string& key, std::vector<std::string>& into);
  void Read(const std::string& key, std::vector<int>& into, int64_t low, int64_t high);
  void Read(const std::string& key, std::vector<bool>& into);
  void Read(const std::string& key, std::map<std::string, std::string>& into);
  /// A string, number or truth value as TOML and JSON write it.
  void ReadScalar(const std::string& key, std::string& into);
  /// A list of such.
  void ReadScalars(const std::string& key, std::vector<std::string>& into);
  /// The table's own keys, in its order.
  std::vector<std::string> Keys() const;
  /// The table under `key`, an empty one if it is missing.
  ScenarioTable Table(const std::string& key);
  /// The tables of the array [[key]].
  std::vector<ScenarioTable> Tables(const std::string& key);
  /// Reports an error at `key`.
  void Wrong(const std::string& key, const std::string& what);
  /// Reports the first key that nobody has read.
  void NoOthers();

 private:
  const toml::node* Find(const std::string& key);
  std::string Path(const std::string& key) const;

  const toml::table& table_;
  std::string name_;
  ScenarioErrors& errors_;
  std::set<std::string> known_;
};

}  // namespace indoubt
