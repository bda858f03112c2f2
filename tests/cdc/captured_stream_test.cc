// What PostgreSQL 15 said, as the files of tests/cdc/streams have it, and what is decoded of
// it.
#include "tests/cdc/captured_stream.h"

#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cdc/source/pgoutput.h"
#include "tests/cdc/described_stream.h"

namespace indoubt {
namespace {

using Lines = std::vector<std::string>;

CapturedStream Read(const std::filesystem::path& file) {
  auto stream = ReadCapturedStream(file);
  EXPECT_TRUE(stream) << stream.error().ToString();
  return stream ? std::move(*stream) : CapturedStream();
}

/// What is decoded of the file `name`. Nothing is left open, and transactions come in the order
/// of their ends.
Lines Decoded(const std::string& name) {
  const auto described =
      DescribeStream(Read(fmt::format("{}/{}.txt", INDOUBT_STREAMS_FOLDER, name)).messages);
  EXPECT_TRUE(described) << described.error().ToString();
  if (!described) return {};
  EXPECT_FALSE(described->open);
  for (size_t i = 1; i < described->ends.size(); ++i) {
    EXPECT_LT(described->ends[i - 1], described->ends[i]);
  }
  return described->lines;
}

TEST(CapturedStream, RowChangesOfTablesWithAPrimaryKey) {
  EXPECT_EQ(
      Decoded("row_changes"),
      Lines({
          "table public.item: id*:20 note:25 data:17",
          "insert public.item: id='1' note='one' data='\\x00ff0a'",
          "insert public.item: id='2' note='' data='\\x'",
          "insert public.item: id='3' note=null data=null",
          ("insert public.item: id='-9223372036854775808' note='tab\t, new line\n, ü, 'quote'' "
           "data='\\x'"),
          "committed",
          "update public.item: id='1' note='ONE' data='\\x00ff0a'",
          "committed",
          "update public.item: key id='2' -> id='20' note='' data='\\x'",
          "committed",
          "delete public.item: key id='3'",
          "committed",
          // The generated column is not sent. What was rolled back to the savepoint is not
          // either.
          "table public.line: invoice*:23 place*:23 amount:1700",
          "insert public.line: invoice='7' place='1' amount='1.50'",
          "update public.line: invoice='7' place='1' amount=null",
          "update public.line: key invoice='7' place='1' -> invoice='7' place='2' amount=null",
          "delete public.line: key invoice='7' place='2'",
          "committed",
          "table other schema.Odd \" name: select*:23 größe:25 a,b = 'c':16",
          "insert other schema.Odd \" name: select='1' größe='groß' a,b = 'c'='t'",
          "committed",
          "update other schema.Odd \" name: select='1' größe='groß' a,b = 'c'='f'",
          "committed",
      }));
}

TEST(CapturedStream, OldRowsAsTheReplicaIdentitySays) {
  EXPECT_EQ(Decoded("replica_identity"),
            Lines({
                "table public.whole: id*:23 note*:25",
                "insert public.whole: id='1' note='a'",
                "insert public.whole: id='1' note='a'",
                "insert public.whole: id=null note=null",
                "committed",
                "update public.whole: row id='1' note='a' -> id='1' note='b'",
                "update public.whole: row id='1' note='a' -> id='1' note='b'",
                "committed",
                "delete public.whole: row id=null note=null",
                "committed",
                "table public.indexed: id:23 code*:25 note:25",
                "insert public.indexed: id='1' code='x' note='a'",
                "committed",
                "update public.indexed: id='2' code='x' note='a'",
                "committed",
                "update public.indexed: key code='x' -> id='2' code='y' note='a'",
                "committed",
                "delete public.indexed: key code='y'",
                "committed",
                "table public.nothing: id:23 note:25",
                "insert public.nothing: id='1' note='a'",
                "committed",
            }));
}

TEST(CapturedStream, LargeValuesThatWereLeftAlone) {
  EXPECT_EQ(
      Decoded("toast"),
      Lines({
          "table public.document: id*:23 body:25 extra:25 note:25",
          "insert public.document: id='1' body=1100 x b extra=1100 x e note='first'",
          "committed",
          "update public.document: id='1' body=unchanged extra=unchanged note='second'",
          "committed",
          "update public.document: id='1' body=unchanged extra=1100 x E note='second'",
          "committed",
          ("update public.document: key id='1' -> id='2' body=unchanged extra=unchanged "
           "note='second'"),
          "committed",
          "update public.document: id='2' body='short' extra=unchanged note='second'",
          "committed",
          "delete public.document: key id='2'",
          "committed",
          "table public.whole: body*:25 note*:25",
          "insert public.whole: body=2100 x w note='first'",
          "committed",
          "update public.whole: row body=2100 x w note='first' -> body=2100 x w note='second'",
          "committed",
          "table public.long_key: key*:25 note:25",
          "insert public.long_key: key=2100 x k note='first'",
          "committed",
          // The key has not changed, but the new row leaves it out: the old one comes with it.
          "update public.long_key: key key=2100 x k -> key=2100 x k note='second'",
          "committed",
      }));
}

TEST(CapturedStream, TruncatedTables) {
  EXPECT_EQ(Decoded("truncate"), Lines({
                                     "table public.alone: id*:20",
                                     "truncate public.alone:",
                                     "committed",
                                     "table public.child: id*:23 parent:23",
                                     "truncate public.alone:",
                                     "truncate public.child:",
                                     "committed",
                                     "table public.parent: id*:23",
                                     "insert public.parent: id='1'",
                                     "truncate public.parent:",
                                     "truncate public.child:",
                                     "insert public.parent: id='2'",
                                     "committed",
                                 }));
}

TEST(CapturedStream, TypesOriginsAndLogicalMessagesArePassedOver) {
  EXPECT_EQ(Decoded("passed_over"), Lines({
                                        "table public.thing: id*:23 paint done",
                                        "insert public.thing: id='1' paint='red' done='10'",
                                        "committed",
                                        "update public.thing: id='1' paint='blue' done='10'",
                                        "committed",
                                        "committed",
                                        "update public.thing: id='1' paint='blue' done='100'",
                                        "committed",
                                        "delete public.thing: key id='1'",
                                        "committed",
                                    }));
}

TEST(CapturedStream, TransactionsInTwoPhases) {
  EXPECT_EQ(Decoded("two_phase"), Lines({
                                      "table public.item: id*:23 note:25",
                                      "insert public.item: id='1' note='kept'",
                                      "prepared kept: \"1\"",
                                      "insert public.item: id='2' note='in between'",
                                      "committed",
                                      "committed prepared kept: \"1\"",
                                      "update public.item: id='1' note='never'",
                                      "delete public.item: key id='2'",
                                      "prepared dropped",
                                      "prepared of another table",
                                      "rolled back prepared dropped",
                                      "committed prepared of another table",
                                      "truncate public.item:",
                                      "prepared open",
                                  }));
}

TEST(CapturedStream, AShapeThatChangesBetweenTransactions) {
  EXPECT_EQ(Decoded("changed_shape"), Lines({
                                          "table public.item: id*:23 note:25",
                                          "insert public.item: id='1' note='a'",
                                          "committed",
                                          "table public.item: id*:23 note:25 amount:23",
                                          "update public.item: id='1' note='b' amount='5'",
                                          "committed",
                                          "table public.item: id*:23 amount:23",
                                          "insert public.item: id='2' amount='6'",
                                          "committed",
                                          "table public.thing: id*:23 sum:23 note:25",
                                          "insert public.thing: id='3' sum='7' note='c'",
                                          "committed",
                                          "delete public.thing: key id='1'",
                                          "committed",
                                      }));
}

TEST(CapturedStream, TheFilesHaveEveryMessageOfEveryVersion) {
  std::set<char> types;
  std::set<std::string> versions;
  for (const auto& file : CapturedStreams(INDOUBT_STREAMS_FOLDER)) {
    const CapturedStream stream = Read(file);
    for (const std::string& message : stream.messages) types.insert(message[0]);
    for (const std::string& option : stream.Lines("option")) {
      if (option.starts_with("proto_version")) versions.insert(option);
    }
  }
  EXPECT_EQ(std::string(types.begin(), types.end()), "BCDIKMOPRTUYbr");
  EXPECT_THAT(versions,
              testing::ElementsAre("proto_version 1", "proto_version 2", "proto_version 3"));
}

TEST(CapturedStream, EveryMessageCutAnywhereIsCorrupt) {
  for (const auto& file : CapturedStreams(INDOUBT_STREAMS_FOLDER)) {
    SCOPED_TRACE(file.filename());
    const std::vector<std::string> messages = Read(file).messages;
    for (size_t cut = 0; cut < messages.size(); ++cut) {
      const std::string& whole = messages[cut];
      const bool passed_over = std::string_view("OYM").find(whole[0]) != std::string::npos;
      for (size_t length = 0; length < whole.size() && !passed_over; ++length) {
        ShapeTable shapes;
        PgOutputDecoder decoder(shapes);
        events::Transaction transaction;
        for (size_t i = 0; i < cut; ++i) {
          ASSERT_TRUE(decoder.Decode(messages[i], transaction));
        }
        const auto result = decoder.Decode(whole.substr(0, length), transaction);
        ASSERT_FALSE(result) << "message " << cut << " cut to " << length;
        EXPECT_EQ(result.error().code(), StatusCode::kCorrupt);
      }
    }
  }
}

}  // namespace
}  // namespace indoubt
