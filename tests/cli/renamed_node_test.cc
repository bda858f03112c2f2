// A node that is given another name over a log that it has: what it has prepared bears the
// old one, and must not be left for ever.
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;

void Rename(const Stores& stores, const std::string& from, const std::string& to) {
  std::string config = ReadText(stores.config_path());
  const std::string line = "node = \"" + from + "\"";
  config.replace(config.find(line), line.size(), "node = \"" + to + "\"");
  std::ofstream(stores.config_path()) << config;
}

TEST(RenamedNode, IsRefusedByEveryVerbUntilTheNameIsBack) {
  Stores stores;
  const Ran killed =
      stores.Indoubt(stores.OrderArguments(1), {{"INDOUBT_FAILPOINT", "voted=kill"}});
  ASSERT_TRUE(killed.DiedOf(SIGKILL)) << killed.err << killed.out;
  Rename(stores, "shop-1", "other");
  const std::vector<std::vector<std::string>> verbs{{"recover", "-c", stores.config_path()},
                                                    {"txn", "list", "-c", stores.config_path()},
                                                    {"serve", "-c", stores.config_path()},
                                                    {"doctor", "-c", stores.config_path()},
                                                    stores.OrderArguments(2)};
  for (const auto& verb : verbs) {
    SCOPED_TRACE(verb.front());
    const Ran ran = stores.Indoubt(verb);
    EXPECT_TRUE(ran.Exited(2)) << ran.err << ran.out;
    EXPECT_THAT(ran.err, HasSubstr("\"shop-1\""));
    EXPECT_THAT(ran.err, HasSubstr("\"other\""));
    EXPECT_THAT(ran.err, HasSubstr(stores.log_path()));
  }
  EXPECT_NE(stores.Leftovers(), "") << "nobody has touched what is prepared";
  Rename(stores, "other", "shop-1");
  EXPECT_TRUE(stores.Indoubt({"recover", "-c", stores.config_path()}).Exited(0));
  EXPECT_EQ(stores.Leftovers(), "");
  EXPECT_EQ(stores.OrderIn(1), "000");
}

}  // namespace
}  // namespace indoubt::testing
