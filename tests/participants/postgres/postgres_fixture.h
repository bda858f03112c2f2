// One PostgreSQL server for a suite, emptied for each of its cases, and a participant
// over it.
#pragma once

#include <memory>

#include <gtest/gtest.h>

#include "tests/participants/postgres/postgres_store.h"

namespace indoubt {

class PostgresFixture : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto started = PostgresStore::Start();
    store_.reset(static_cast<PostgresStore*>(started.release()));
  }
  static void TearDownTestSuite() { store_.reset(); }
  void SetUp() override {
    ASSERT_NE(store_, nullptr);
    const Status reset = store_->Reset();
    ASSERT_TRUE(reset.ok()) << reset.ToString();
    participant_ = store_->MakeParticipant();
  }

  inline static std::unique_ptr<PostgresStore> store_;
  std::unique_ptr<Participant> participant_;
};

}  // namespace indoubt
