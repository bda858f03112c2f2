#include "tests/participants/contract_suite.h"
#include "tests/participants/postgres/postgres_store.h"

namespace indoubt {

INDOUBT_INSTANTIATE_CONTRACT(Postgres, PostgresStore::Start);

}  // namespace indoubt
