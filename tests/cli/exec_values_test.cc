// Values in and out of `indoubt exec` at both SQL participants, and row counts that are not
// as expected.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class ExecValues : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    stores_ = new Stores;
    stores_->AskPostgres(
        "CREATE TABLE typed (i bigint, r float8, t text, b bytea, n numeric, k boolean, e "
        "text)");
    stores_->AskSqlite(
        "CREATE TABLE typed (i INTEGER PRIMARY KEY, r REAL, t TEXT, b BLOB, n NUMERIC, k "
        "BOOLEAN, e TEXT)");
    std::string config = ReadText(stores_->config_path());
    const std::string tables = "\"entries\"";
    config.replace(config.find(tables), tables.size(), "\"entries\", \"typed\"");
    std::ofstream(stores_->config_path()) << config;
  }
  static void TearDownTestSuite() {
    delete stores_;
    stores_ = nullptr;
  }
  Ran Exec(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"exec", "-c", stores_->config_path()});
    return stores_->Indoubt(std::move(arguments));
  }
  /// The results of an exec that must have committed.
  Json ResultsOf(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const Ran ran = Exec(std::move(arguments));
    EXPECT_TRUE(ran.Exited(0)) << ran.err << ran.out;
    const Json json = Json::parse(ran.out, nullptr, /*allow_exceptions=*/false);
    EXPECT_FALSE(json.is_discarded()) << "no JSON: " << ran.out;
    return json.is_discarded() ? Json() : json["results"];
  }
  std::string WriteFile(const std::string& text) {
    const std::string path = stores_->folder() + "/statements.toml";
    std::ofstream(path) << text;
    return path;
  }
  static Stores* stores_;
};
Stores* ExecValues::stores_ = nullptr;

TEST_F(ExecValues, BoundParametersComeBackWithTheirTypesFromBothSqlParticipants) {
  std::vector<std::string> arguments;
  for (const char* participant : {"accounts", "ledger"}) {
    const std::string name = participant;
    const std::string bytes = name == "accounts" ? "'\\x00ff27'::bytea" : "x'00ff27'";
    arguments.insert(
        arguments.end(),
        {"--on", name,
         "INSERT INTO typed VALUES ($1, $2, $3, " + bytes +
             ", $4, $5, $6) RETURNING i, r, t, b, n, k, e",
         "--rows", "1", "--param", "-9223372036854775808", "--param", "0.1", "--param",
         "it's \"$1\" \xc3\xa4", "--param", "12.50", "--param", "true", "--param", "null"});
  }
  const Json results = ResultsOf(std::move(arguments));
  ASSERT_EQ(results.size(), 2u);
  const Json text = "it's \"$1\" \xc3\xa4";
  EXPECT_EQ(results[0]["rows"], 1);
  EXPECT_EQ(results[1]["rows"], 1);
  EXPECT_EQ(results[0]["values"][0],
            Json({INT64_MIN, 0.1, text, "\\x00ff27", "12.5", true, nullptr}));
  EXPECT_EQ(results[1]["values"][0],
            Json({INT64_MIN, 0.1, text, "\\x00ff27", 12.5, 1, nullptr}));
  EXPECT_EQ(stores_->AskPostgres(
                "SELECT concat_ws(' ', i, r, t, b, n, k, e IS NULL) FROM typed WHERE r = 0.1"),
            "-9223372036854775808 0.1 it's \"$1\" \xc3\xa4 \\x00ff27 12.5 t t");
  EXPECT_EQ(stores_->AskSqlite("SELECT typeof(i) || typeof(r) || typeof(t) || typeof(b) || "
                               "typeof(n) || typeof(k) || typeof(e) FROM typed WHERE r = 0.1"),
            "integerrealtextblobrealintegernull");
}

TEST_F(ExecValues, ExactNumbersKeepEveryDigit) {
  const std::string digits = "12345678901234567890.123456789";
  const Json results =
      ResultsOf({"--on", "accounts", "SELECT $1::numeric, 9007199254740993::bigint", "--param",
                 digits, "--on", "ledger", "SELECT 9007199254740993, 5e-324"});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0]["values"][0], Json({digits, 9007199254740993}));
  EXPECT_EQ(results[1]["values"][0], Json({9007199254740993, 5e-324}));
}

TEST_F(ExecValues, NumbersThatJsonDoesNotKnowAreStringsAndTheOutputStaysJson) {
  const std::string path = WriteFile(
      "[[statement]]\non = \"accounts\"\ntext = \"SELECT $1::float8, $2::float8, $3::float8, "
      "$4::real, NULL::float8\"\nparams = [nan, inf, -inf, nan]\n"
      "[[statement]]\non = \"ledger\"\ntext = \"SELECT ?1, ?2, 9e999, NULL\"\n"
      "params = [inf, -inf]\n"
      "[[statement]]\non = \"accounts\"\ntext = \"INSERT INTO typed (i, r) VALUES (1, $1) "
      "RETURNING r\"\nparams = [nan]\n"
      "[[statement]]\non = \"ledger\"\ntext = \"INSERT INTO typed (i, r) VALUES (1, ?1) "
      "RETURNING r\"\nparams = [-inf]\n");
  const Json results = ResultsOf({path});
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0]["values"][0], Json({"NaN", "Infinity", "-Infinity", "NaN", nullptr}));
  EXPECT_EQ(results[1]["values"][0], Json({"Infinity", "-Infinity", "Infinity", nullptr}));
  EXPECT_EQ(results[2]["values"][0], Json::array({"NaN"}));
  EXPECT_EQ(results[3]["values"][0], Json::array({"-Infinity"}));
  EXPECT_EQ(stores_->AskPostgres("SELECT r FROM typed WHERE i = 1"), "NaN");
  EXPECT_EQ(stores_->AskSqlite("SELECT r = -9e999 FROM typed WHERE i = 1"), "1");
  // The same for a person's eyes.
  const Ran plain = Exec({"--on", "accounts", "SELECT 'NaN'::float8"});
  ASSERT_TRUE(plain.Exited(0)) << plain.err;
  EXPECT_EQ(plain.out.substr(0, plain.out.find('\n')), "[\"NaN\"]");
}

TEST_F(ExecValues, TextThatIsNoUtf8StopsNoOutput) {
  for (const bool json : {true, false}) {
    std::vector<std::string> arguments{"--on", "ledger", "SELECT CAST(x'61ff62' AS TEXT)"};
    if (json) arguments.emplace_back("--json");
    const Ran ran = Exec(arguments);
    ASSERT_TRUE(ran.Exited(0)) << ran.err << ran.out;
    EXPECT_THAT(ran.out, HasSubstr("[\"a\xef\xbf\xbd"
                                   "b\"]"));
  }
}

TEST_F(ExecValues, ParametersTooFewTooManyOrOfTheWrongTypeRollBackEverywhere) {
  const std::vector<std::vector<std::string>> wrong{
      {"--on", "accounts", "INSERT INTO orders VALUES ($1, $2)", "--param", "80"},
      {"--on", "accounts", "INSERT INTO orders VALUES ($1, 7)", "--param", "80", "--param",
       "7"},
      {"--on", "accounts", "INSERT INTO orders VALUES ($1, 7)", "--param", "no number"},
      {"--on", "ledger", "INSERT INTO entries VALUES (?1, ?2, 5)", "--param", "81"},
      {"--on", "ledger", "INSERT INTO entries VALUES (?1, 7, 5)", "--param", "81", "--param",
       "7"},
      {"--on", "ledger", "INSERT INTO entries VALUES (?1, 7, 5)", "--param", "no number"}};
  for (const auto& last : wrong) {
    SCOPED_TRACE(last[2] + " of " + std::to_string(last.size()) + " words");
    std::vector<std::string> arguments = stores_->OrderArguments(60);
    arguments.insert(arguments.end(), last.begin(), last.end());
    const Ran ran = stores_->Indoubt(arguments);
    EXPECT_TRUE(ran.Exited(20)) << ran.err << ran.out;
    EXPECT_THAT(ran.err, HasSubstr(last[1]));
    EXPECT_EQ(stores_->OrderIn(60), "000");
    EXPECT_EQ(stores_->Leftovers(), "");
  }
}

TEST_F(ExecValues, RowsOtherThanExpectedRollBackEverywhereAndAsExpectedCommit) {
  struct Case {
    const char* participant;
    const char* statement;
    const char* rows;
    const char* touched;
  };
  const std::vector<Case> cases{
      {"accounts", "UPDATE account SET balance = 0 WHERE id = 7", "2", "1"},
      {"accounts", "UPDATE account SET balance = 0 WHERE id = -1", "1", "0"},
      {"accounts", "DELETE FROM account", "0", "1"},
      {"accounts", "SELECT * FROM account", "2", "1"},
      {"accounts", "INSERT INTO orders SELECT n, 7 FROM generate_series(900, 902) n", "2", "3"},
      {"ledger", "UPDATE entries SET amount = 0", "2", "1"},
      {"ledger", "DELETE FROM entries WHERE order_id = -1", "1", "0"},
      {"ledger", "SELECT * FROM entries", "3", "1"},
      {"ledger", "INSERT INTO entries SELECT 900 + value, 7, 5 FROM json_each('[1,2,3]')", "2",
       "3"}};
  for (const Case& wrong : cases) {
    SCOPED_TRACE(std::string(wrong.statement) + ", " + wrong.rows);
    std::vector<std::string> arguments = stores_->OrderArguments(70);
    const auto add = [&](const std::string& rows) {
      arguments.insert(arguments.end(),
                       {"--on", wrong.participant, wrong.statement, "--rows", rows});
    };
    add(wrong.rows);
    const Ran ran = stores_->Indoubt(arguments);
    EXPECT_TRUE(ran.Exited(20)) << ran.err << ran.out;
    EXPECT_THAT(ran.err, HasSubstr(wrong.participant));
    EXPECT_THAT(ran.err, HasSubstr(std::string("touched ") + wrong.touched));
    EXPECT_EQ(stores_->OrderIn(70), "000");
    EXPECT_EQ(stores_->Leftovers(), "");
    EXPECT_EQ(stores_->Unbalanced(), "");
  }
  std::vector<std::string> right = stores_->OrderArguments(71);
  right.insert(right.end(), {"--on", "accounts", "SELECT * FROM account", "--rows", "1", "--on",
                             "ledger", "UPDATE entries SET amount = 5", "--rows", "1"});
  const Ran ran = stores_->Indoubt(right);
  EXPECT_TRUE(ran.Exited(0)) << ran.err << ran.out;
  EXPECT_EQ(stores_->OrderIn(71), "111");
}

}  // namespace
}  // namespace indoubt::testing
