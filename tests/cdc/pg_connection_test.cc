#include "cdc/pg_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace indoubt::cdc_internal {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(PgConnection, ShowsNothingOfAConnectionStringThatItCannotParse) {
  const StopSignal stop;
  // libpq's own messages quote the piece that they stumble over.
  for (const char* dsn : {"password = host=db hunter2", "hunter2", "hunter2=x password=y",
                          "postgresql://me:hunter2@[::1"}) {
    const auto connection =
        PgConnection::Connect(dsn, false, stop, SystemClock().Now() + std::chrono::seconds(5));
    ASSERT_FALSE(connection) << dsn;
    EXPECT_EQ(connection.error().code(), StatusCode::kInvalidArgument) << dsn;
    EXPECT_THAT(connection.error().message(), Not(HasSubstr("hunter2"))) << dsn;
    EXPECT_THAT(connection.error().message(), HasSubstr("cannot be parsed")) << dsn;
  }
}

TEST(PgConnection, ASourceThatIsNotThereIsUnavailableAndItsPasswordUnseen) {
  const StopSignal stop;
  const auto connection =
      PgConnection::Connect("host=/nowhere/hunter2 password=hunter2", false, stop,
                            SystemClock().Now() + std::chrono::seconds(30));
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code(), StatusCode::kUnavailable);
  EXPECT_THAT(connection.error().message(), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace indoubt::cdc_internal
