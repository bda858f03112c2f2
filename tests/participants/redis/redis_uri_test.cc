#include "participants/redis/redis_uri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace indoubt {
namespace {

TEST(RedisUri, ReadsHostPortDatabaseAndCredentials) {
  const auto address = ParseRedisUri("redis://shop:p%40ss@db.local:7000/3");
  ASSERT_TRUE(address) << address.error().ToString();
  EXPECT_EQ(address->host, "db.local");
  EXPECT_EQ(address->port, 7000);
  EXPECT_EQ(address->database, 3);
  EXPECT_EQ(address->user, "shop");
  EXPECT_EQ(address->password, "p@ss");
  EXPECT_THAT(address->Shown(), testing::Not(testing::HasSubstr("ss@")));
}

TEST(RedisUri, ReadsAPasswordWithoutAUserAndLeavesWhatIsNoEscape) {
  const auto alone = ParseRedisUri("redis://hunter2@db.local");
  ASSERT_TRUE(alone) << alone.error().ToString();
  EXPECT_EQ(alone->user, "");
  EXPECT_EQ(alone->password, "hunter2");
  EXPECT_EQ(alone->host, "db.local");
  const auto odd = ParseRedisUri("redis://me:se:cr@t%4g%-1%@host:7000/3");
  ASSERT_TRUE(odd) << odd.error().ToString();
  EXPECT_EQ(odd->password, "se:cr@t%4g%-1%");
  EXPECT_EQ(odd->port, 7000);
}

TEST(RedisUri, ReadsASocketAndDefaults) {
  const auto socket = ParseRedisUri("unix:///run/redis.sock?db=2");
  ASSERT_TRUE(socket);
  EXPECT_EQ(socket->unix_path, "/run/redis.sock");
  EXPECT_EQ(socket->database, 2);
  const auto plain = ParseRedisUri("redis://");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, 6379);
}

TEST(RedisUri, AnIpv6AddressStandsInBrackets) {
  const auto address = ParseRedisUri("redis://u:p@[fe80::1%eth0]:7000/3");
  ASSERT_TRUE(address) << address.error().ToString();
  EXPECT_EQ(address->host, "fe80::1%eth0");
  EXPECT_EQ(address->port, 7000);
  EXPECT_EQ(address->database, 3);
  const auto plain = ParseRedisUri("redis://[::1]");
  ASSERT_TRUE(plain) << plain.error().ToString();
  EXPECT_EQ(plain->host, "::1") << "as a client takes it";
  EXPECT_EQ(plain->port, 6379);
  EXPECT_EQ(plain->Shown(), "[::1]:6379");
  for (const char* wrong : {"redis://::1", "redis://::1:6379", "redis://[::1", "redis://[]:1",
                            "redis://[::1]6379", "redis://[::1]:0"}) {
    EXPECT_FALSE(ParseRedisUri(wrong)) << wrong;
  }
}

TEST(RedisUri, APortOutOfRangeIsToldTheRange) {
  for (const char* wrong :
       {"redis://h:99999/0", "redis://h:0", "redis://h:", "redis://h:1x", "redis://h:-1"}) {
    const auto address = ParseRedisUri(wrong);
    ASSERT_FALSE(address) << wrong;
    EXPECT_THAT(address.error().message(), testing::HasSubstr("from 1 to 65535")) << wrong;
  }
}

TEST(RedisUri, WrongOnesAreErrorsThatShowNoSecret) {
  for (const char* uri : {"", "http://x", "redis://u:hunter2@h:port/0", "redis://h:1/x",
                          "unix://relative", "unix:///s?x=1", "redis://h:99999/0"}) {
    const auto address = ParseRedisUri(uri);
    ASSERT_FALSE(address) << uri;
    EXPECT_EQ(address.error().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(address.error().message(), testing::Not(testing::HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace indoubt
