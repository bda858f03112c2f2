#include "cdc/source/pgoutput.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace indoubt {
namespace {

using testing::HasSubstr;

std::string Int(uint64_t value, int width) {
  std::string bytes;
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(value >> shift));
  }
  return bytes;
}
std::string Str(const std::string& text) { return text + '\0'; }
std::string Text(const std::string& text) { return "t" + Int(text.size(), 4) + text; }

std::string Begin() { return "B" + Int(100, 8) + Int(5, 8) + Int(77, 4); }
std::string Commit() { return "C" + Int(0, 1) + Int(100, 8) + Int(120, 8) + Int(5, 8); }
// accounts(id bigint key, note text)
std::string Relation() {
  return "R" + Int(16, 4) + Str("public") + Str("accounts") + "d" + Int(2, 2) + Int(1, 1) +
         Str("id") + Int(20, 4) + Int(0xffffffff, 4) + Int(0, 1) + Str("note") + Int(25, 4) +
         Int(0xffffffff, 4);
}
std::string Insert() { return "I" + Int(16, 4) + "N" + Int(2, 2) + Text("7") + "n"; }
std::string Update() {
  return "U" + Int(16, 4) + "K" + Int(2, 2) + Text("7") + "n" + "N" + Int(2, 2) + Text("8") +
         "u";
}
std::string Delete() { return "D" + Int(16, 4) + "K" + Int(2, 2) + Text("8") + "n"; }
std::string Truncate() { return "T" + Int(1, 4) + Int(0, 1) + Int(16, 4); }

/// With a table of its own, and an answer a message.
class Decoder {
 public:
  Result<std::optional<events::Transaction>> Decode(std::string_view message) {
    events::Transaction transaction;
    INDOUBT_ASSIGN_OR_RETURN(const bool given, decoder_.Decode(message, transaction));
    return given ? std::optional(std::move(transaction)) : std::nullopt;
  }
  bool in_transaction() const { return decoder_.in_transaction(); }
  const ShapeTable& shapes() const { return *shapes_; }

 private:
  std::unique_ptr<ShapeTable> shapes_ = std::make_unique<ShapeTable>();
  PgOutputDecoder decoder_{*shapes_};
};

std::vector<std::string> Session() {
  return {Relation(), Begin(), Insert(), Update(), Delete(), Truncate(), Commit()};
}

TEST(PgOutputDecoder, GivesAWholeTransactionAtItsCommit) {
  Decoder decoder;
  std::optional<events::Transaction> transaction;
  for (const std::string& message : Session()) {
    ASSERT_FALSE(transaction);
    auto decoded = decoder.Decode(message);
    ASSERT_TRUE(decoded) << decoded.error().ToString();
    transaction = std::move(*decoded);
  }
  ASSERT_TRUE(transaction);
  EXPECT_FALSE(decoder.in_transaction());
  EXPECT_EQ(transaction->commit_end_lsn(), 120u);
  EXPECT_EQ(transaction->xid(), 77u);
  ASSERT_EQ(transaction->shapes_size(), 1);
  const events::Relation* shape = decoder.shapes().Find(transaction->shapes(0));
  ASSERT_NE(shape, nullptr);
  EXPECT_EQ(shape->name(), "accounts");
  EXPECT_TRUE(shape->columns(0).key());
  EXPECT_FALSE(shape->columns(1).key());
  ASSERT_EQ(transaction->changes_size(), 4);
  EXPECT_EQ(transaction->changes(0).after_tuple(), Int(2, 2) + Text("7") + "n");
  EXPECT_EQ(transaction->changes(1).before_tuple(), Int(2, 2) + Text("7") + "n");
  EXPECT_TRUE(transaction->changes(1).before_is_key());
  EXPECT_EQ(transaction->changes(1).after_tuple(), Int(2, 2) + Text("8") + "u");
  EXPECT_EQ(transaction->changes(2).kind(), events::Change::DELETE);
  EXPECT_EQ(transaction->changes(3).kind(), events::Change::TRUNCATE);
}

TEST(PgOutputDecoder, GivesALargeTransactionInPartsThatNameTheirShapes) {
  Decoder decoder;
  ASSERT_TRUE(decoder.Decode(Relation()));
  ASSERT_TRUE(decoder.Decode(Begin()));
  const std::string row =
      "I" + Int(16, 4) + "N" + Int(2, 2) + Text("7") + Text(std::string(100'000, 'x'));
  std::vector<events::Transaction> parts;
  for (int i = 0; i < 25; ++i) {
    auto decoded = decoder.Decode(row);
    ASSERT_TRUE(decoded) << decoded.error().ToString();
    if (*decoded) parts.push_back(std::move(**decoded));
    EXPECT_TRUE(decoder.in_transaction());
  }
  auto last = decoder.Decode(Commit());
  ASSERT_TRUE(last && *last);
  EXPECT_EQ((*last)->part(), 0u);
  EXPECT_EQ((*last)->commit_end_lsn(), 120u);
  ASSERT_EQ(parts.size(), 2u);
  int rows = (*last)->changes_size();
  for (size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].part(), i + 1);
    EXPECT_EQ(parts[i].commit_end_lsn(), 100u) << "where its commit record begins";
    EXPECT_EQ(parts[i].xid(), 77u);
    EXPECT_EQ(parts[i].shapes_size(), 1);
    rows += parts[i].changes_size();
  }
  EXPECT_EQ(rows, 25);
}

TEST(PgOutputDecoder, ChangesWithoutRowsCountForAPartToo) {
  Decoder decoder;
  ASSERT_TRUE(decoder.Decode(Relation()));
  ASSERT_TRUE(decoder.Decode(Begin()));
  constexpr size_t kChange = sizeof(events::Change);
  constexpr int kMost = (PgOutputDecoder::kPartBytes + kChange - 1) / kChange;
  for (int i = 1; i < kMost; ++i) {
    const auto decoded = decoder.Decode(Truncate());
    ASSERT_TRUE(decoded && !*decoded) << i;
  }
  const auto part = decoder.Decode(Truncate());
  ASSERT_TRUE(part && *part);
  EXPECT_EQ((*part)->part(), 1u);
  EXPECT_EQ((*part)->changes_size(), kMost);
}

TEST(PgOutputDecoder, RemembersShapesForLaterTransactions) {
  Decoder decoder;
  ASSERT_TRUE(decoder.Decode(Relation()));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(decoder.Decode(Begin()));
    ASSERT_TRUE(decoder.Decode(Insert()));
    const auto transaction = decoder.Decode(Commit());
    ASSERT_TRUE(transaction && *transaction);
    EXPECT_EQ((*transaction)->shapes_size(), 1);
  }
}

TEST(PgOutputDecoder, PassesOverWhatNoViewIsMadeOf) {
  Decoder decoder;
  for (const char* message : {"O12345678origin", "Y1234public", "M012345678p"}) {
    EXPECT_TRUE(decoder.Decode(message)) << message;
  }
}

std::string BeginPrepare() {
  return "b" + Int(100, 8) + Int(120, 8) + Int(5, 8) + Int(77, 4) + Str("g");
}
std::string Prepare(const std::string& gid = "g") {
  return "P" + Int(0, 1) + Int(100, 8) + Int(120, 8) + Int(5, 8) + Int(77, 4) + Str(gid);
}
std::string CommitPrepared() {
  return "K" + Int(0, 1) + Int(200, 8) + Int(220, 8) + Int(9, 8) + Int(77, 4) + Str("g");
}
std::string RollbackPrepared() {
  return "r" + Int(0, 1) + Int(120, 8) + Int(220, 8) + Int(5, 8) + Int(9, 8) + Int(77, 4) +
         Str("g");
}

TEST(PgOutputDecoder, APreparedTransactionComesWholeAndItsEndAlone) {
  Decoder decoder;
  for (const std::string& message : {Relation(), BeginPrepare(), Insert()}) {
    ASSERT_TRUE(decoder.Decode(message));
  }
  EXPECT_TRUE(decoder.in_transaction());
  const auto prepared = decoder.Decode(Prepare());
  ASSERT_TRUE(prepared && *prepared) << prepared.error().ToString();
  EXPECT_FALSE(decoder.in_transaction());
  EXPECT_EQ((*prepared)->phase(), events::Transaction::PREPARED);
  EXPECT_EQ((*prepared)->gid(), "g");
  EXPECT_EQ((*prepared)->commit_end_lsn(), 120u);
  EXPECT_EQ((*prepared)->changes_size(), 1);
  for (const auto& [message, phase] :
       {std::pair(CommitPrepared(), events::Transaction::COMMIT_PREPARED),
        std::pair(RollbackPrepared(), events::Transaction::ROLLBACK_PREPARED)}) {
    const auto ended = decoder.Decode(message);
    ASSERT_TRUE(ended && *ended) << ended.error().ToString();
    EXPECT_EQ((*ended)->phase(), phase);
    EXPECT_EQ((*ended)->gid(), "g");
    EXPECT_EQ((*ended)->commit_end_lsn(), 220u);
    EXPECT_EQ((*ended)->changes_size(), 0);
  }
}

TEST(PgOutputDecoder, APreparedTransactionAboveTheBoundIsRefused) {
  Decoder decoder;
  ASSERT_TRUE(decoder.Decode(Relation()));
  ASSERT_TRUE(decoder.Decode(BeginPrepare()));
  constexpr size_t kRow = PgOutputDecoder::kMaxPreparedBytes / 8;
  const std::string row =
      "I" + Int(16, 4) + "N" + Int(2, 2) + Text("7") + Text(std::string(kRow, 'x'));
  for (int i = 0; i < 7; ++i) {
    const auto decoded = decoder.Decode(row);
    ASSERT_TRUE(decoded && !*decoded) << "comes whole, however large";
  }
  const auto refused = decoder.Decode(row);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), StatusCode::kUnsupported);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("prepared transaction 77 has more than 256"));
}

TEST(PgOutputDecoder, TwoPhaseMessagesOutOfPlaceOrCutAreCorrupt) {
  EXPECT_FALSE(Decoder().Decode(Prepare()));
  Decoder plain;
  ASSERT_TRUE(plain.Decode(Begin()));
  EXPECT_FALSE(plain.Decode(Prepare()));
  Decoder inside;
  ASSERT_TRUE(inside.Decode(BeginPrepare()));
  EXPECT_FALSE(inside.Decode(CommitPrepared()));
  Decoder crossed;
  ASSERT_TRUE(crossed.Decode(BeginPrepare()));
  EXPECT_FALSE(crossed.Decode(Commit()));
  Decoder other;
  ASSERT_TRUE(other.Decode(BeginPrepare()));
  EXPECT_FALSE(other.Decode(Prepare("h")));
  for (const std::string& whole : {BeginPrepare(), CommitPrepared(), RollbackPrepared()}) {
    for (size_t length = 0; length < whole.size(); ++length) {
      EXPECT_FALSE(Decoder().Decode(whole.substr(0, length)));
    }
  }
}

TEST(PgOutputDecoder, RefusesStreamedMessagesByName) {
  for (const char type : std::string("SEcAp")) {
    Decoder decoder;
    const auto result = decoder.Decode(std::string(1, type) + "0123456789");
    ASSERT_FALSE(result) << type;
    EXPECT_EQ(result.error().code(), StatusCode::kUnsupported);
    EXPECT_THAT(result.error().message(), HasSubstr("streaming"));
  }
}

TEST(PgOutputDecoder, EveryCutMessageIsCorruptAndNothingCrashes) {
  const std::vector<std::string> session = Session();
  for (size_t cut = 0; cut < session.size(); ++cut) {
    for (size_t length = 0; length < session[cut].size(); ++length) {
      Decoder decoder;
      for (size_t i = 0; i < cut; ++i) ASSERT_TRUE(decoder.Decode(session[i]));
      const auto result = decoder.Decode(session[cut].substr(0, length));
      ASSERT_FALSE(result) << "message " << cut << " cut to " << length;
      EXPECT_EQ(result.error().code(), StatusCode::kCorrupt);
    }
  }
}

TEST(PgOutputDecoder, BytesBehindTheEndAreCorrupt) {
  Decoder decoder;
  EXPECT_EQ(decoder.Decode(Begin() + "x").error().code(), StatusCode::kCorrupt);
}

TEST(PgOutputDecoder, ChangesOutOfPlaceAreCorrupt) {
  EXPECT_FALSE(Decoder().Decode(Insert()));
  EXPECT_FALSE(Decoder().Decode(Commit()));
  Decoder without_shape;
  ASSERT_TRUE(without_shape.Decode(Begin()));
  EXPECT_FALSE(without_shape.Decode(Insert()));
  Decoder twice;
  ASSERT_TRUE(twice.Decode(Begin()));
  EXPECT_FALSE(twice.Decode(Begin()));
}

TEST(PgOutputDecoder, RandomAndMutatedBytesNeverCrashIt) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::vector<std::string> session = Session();
  for (const std::string& message :
       {BeginPrepare(), Insert(), Prepare(), CommitPrepared(), RollbackPrepared()}) {
    session.push_back(message);
  }
  for (int round = 0; round < 20'000; ++round) {
    Decoder decoder;
    for (std::string message : session) {
      if (random() % 3 == 0) message[random() % message.size()] = static_cast<char>(random());
      if (random() % 16 == 0) message.resize(random() % (message.size() + 8));
      if (!decoder.Decode(message)) break;
    }
  }
}

}  // namespace
}  // namespace indoubt
