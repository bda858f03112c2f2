// The files of tests/cdc/streams, made again on a server of today: what is decoded must be the
// same. INDOUBT_CAPTURE_STREAMS=FOLDER writes the new captures there, in the place of
// comparing; a new file may have its head only.
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cdc/source/pgoutput.h"
#include "tests/cdc/captured_stream.h"
#include "tests/cdc/described_stream.h"
#include "tests/cdc/fixture.h"

namespace indoubt {
namespace {

class CapturedStreamLiveTest : public testing::Test {
 protected:
  void SetUp() override {
    auto postgres =
        PostgresServer::Start(folder_.path(), {{"logical_decoding_work_mem", "64kB"}});
    ASSERT_TRUE(postgres) << postgres.error().ToString();
    postgres_ = std::move(*postgres);
  }

  /// A database of its own.
  SourceClient NewDatabase(const std::string& name) const {
    SourceClient(postgres_->dsn()).Run("CREATE DATABASE " + name);
    return SourceClient(postgres_->dsn(name));
  }

  static void MakeSlot(SourceClient& client, const std::string& name, bool two_phase) {
    client.Run(
        fmt::format("SELECT pg_create_logical_replication_slot('{}', 'pgoutput', false, {})",
                    name, two_phase));
  }

  /// What the slot has; `options` are pairs of literals.
  static std::vector<std::string> Messages(SourceClient& client, const std::string& slot,
                                           const std::string& options) {
    const std::string lines =
        client.Run(fmt::format("SELECT string_agg(encode(data, 'hex'), ' ') "
                               "FROM pg_logical_slot_get_binary_changes('{}', NULL, NULL, {})",
                               slot, options));
    std::vector<std::string> messages;
    std::istringstream words(lines);
    for (std::string word; words >> word;) {
      auto message = FromHex(word);
      EXPECT_TRUE(message);
      if (message) messages.push_back(std::move(*message));
    }
    return messages;
  }

  /// The messages of the same statements.
  std::vector<std::string> Again(const std::string& name, const CapturedStream& stream) const {
    SourceClient client = NewDatabase(name);
    for (const std::string& sql : stream.Lines("setup")) client.Run(sql);
    std::string options;
    bool two_phase = false;
    for (const std::string& option : stream.Lines("option")) {
      const size_t space = option.find(' ');
      two_phase |= option == "two_phase on";
      options += fmt::format("{}'{}', '{}'", options.empty() ? "" : ", ",
                             option.substr(0, space), option.substr(space + 1));
    }
    MakeSlot(client, name, two_phase);
    for (const std::string& sql : stream.Lines("run")) client.Run(sql);
    return Messages(client, name, options);
  }

  ScratchFolder folder_{"indoubt-streams"};
  std::unique_ptr<PostgresServer> postgres_;
};

TEST_F(CapturedStreamLiveTest, TheSameStatementsGiveWhatTheCommittedFilesGive) {
  const char* capture = std::getenv("INDOUBT_CAPTURE_STREAMS");
  const auto files = CapturedStreams(INDOUBT_STREAMS_FOLDER);
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    SCOPED_TRACE(file.filename());
    auto committed = ReadCapturedStream(file);
    ASSERT_TRUE(committed) << committed.error().ToString();
    std::vector<std::string> messages = Again(file.stem(), *committed);
    const auto now = DescribeStream(messages);
    ASSERT_TRUE(now) << now.error().ToString();
    if (capture != nullptr) {
      committed->messages = std::move(messages);
      std::ofstream(std::filesystem::path(capture) / file.filename()) << committed->ToText();
      continue;
    }
    const auto then = DescribeStream(committed->messages);
    ASSERT_TRUE(then) << then.error().ToString();
    EXPECT_EQ(now->lines, then->lines);
    EXPECT_EQ(now->open, then->open);
  }
}

TEST_F(CapturedStreamLiveTest, ARunningTransactionThatIsStreamedIsRefusedByName) {
  SourceClient client = NewDatabase("streaming");
  client.Run("CREATE TABLE item(id int PRIMARY KEY, note text)");
  client.Run("CREATE PUBLICATION captured FOR TABLE item");
  MakeSlot(client, "streaming", false);
  client.Run("INSERT INTO item SELECT n, 'x' FROM generate_series(1, 5000) n");
  const std::string options = "'proto_version', '2', 'publication_names', 'captured'";
  const auto streamed = Messages(client, "streaming", options + ", 'streaming', 'on'");
  const auto described = DescribeStream(streamed);
  ASSERT_FALSE(described);
  EXPECT_EQ(described.error().code(), StatusCode::kUnsupported);
  EXPECT_THAT(described.error().message(), testing::HasSubstr("message 'S' belongs to"));

  client.Run("INSERT INTO item SELECT -n, 'x' FROM generate_series(1, 5000) n");
  const auto whole = DescribeStream(Messages(client, "streaming", options));
  ASSERT_TRUE(whole) << whole.error().ToString();
  EXPECT_EQ(whole->ends.size(), 1u) << "whole at its commit, however large";
}

}  // namespace
}  // namespace indoubt
