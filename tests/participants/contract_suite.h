// The one contract that every adapter passes against its real store. Include it in one
// source file of the adapter's test program and say
//
//   INDOUBT_INSTANTIATE_CONTRACT(Sqlite, MakeSqliteContractStore);
//
// with a factory that makes a ContractStore. A store that is reached through a connection
// includes contract_connection_suite.h instead. docs/adapters.md says more.
#pragma once

#include "tests/participants/contract_crash_cases.h"
#include "tests/participants/contract_decision_cases.h"
#include "tests/participants/contract_vote_cases.h"

/// Runs the contract against the store that `factory` makes.
#define INDOUBT_INSTANTIATE_CONTRACT(kind, factory)                                     \
  INSTANTIATE_TEST_SUITE_P(kind, ParticipantContract,                                   \
                           testing::Values(static_cast<ContractStoreFactory>(factory)), \
                           [](const auto&) { return "store"; })
