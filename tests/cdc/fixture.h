// Real servers and an accumulating view on each kind of sink: a change applied
// twice, or not at all, shows as a wrong sum.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cdc/worker.h"
#include "faults/servers.h"
#include "tests/support/eventually.h"

namespace indoubt {

/// Sum per key, as one of the stores holds it.
using Sums = std::map<std::string, int64_t>;

/// Runs SQL at the source on a connection of its own; fails the test on an error.
class SourceClient {
 public:
  explicit SourceClient(const std::string& dsn);
  ~SourceClient();
  /// The first column of the first row, or empty.
  std::string Run(const std::string& sql);
  /// Rows of two columns: text and integer.
  Sums Query(const std::string& sql);

 private:
  void* connection_;
};

std::string SqliteOne(const std::string& path, const std::string& sql);
/// Rows of two columns: text and integer.
Sums SqliteRows(const std::string& path, const std::string& sql);
Sums SqliteSums(const std::string& path);
Sums RedisSums(const std::string& socket_path);
/// A hash of integers.
Sums RedisHash(const std::string& socket_path, const std::string& key);
/// `field` of every hash whose key begins with `prefix`, by the key's rest.
Sums RedisFields(const std::string& socket_path, const std::string& prefix,
                 const std::string& field);
std::string RedisOne(const std::string& socket_path, const std::vector<std::string>& command);

/// Table moves(id bigserial, item, amount) at the source; both views add `amount`
/// to the item's sum, and 1 to its count, with each inserted row.
class CdcFixture : public testing::Test {
 protected:
  void SetUp() override;
  CdcOptions Options() const;
  SourceClient Client() const { return SourceClient(postgres_->dsn()); }
  /// What the views must hold.
  Sums SourceSums() const;
  /// Waits for both views and compares them with the source.
  void ExpectViewsEqualSource();
  /// Also while it is read.
  void DropSlot() const;
  /// Compares what both views hold now.
  void ExpectSumsEqualSource();

  ScratchFolder folder_{"indoubt-cdc"};
  std::unique_ptr<PostgresServer> postgres_;
  std::unique_ptr<RedisServer> redis_;
  std::string sqlite_path_ = folder_.path() + "/view.db";
  std::string event_log_path_ = folder_.path() + "/events.db";
};

}  // namespace indoubt
