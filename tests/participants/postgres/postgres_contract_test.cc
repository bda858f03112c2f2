// PostgreSQL passes the contract of all adapters.
#include "tests/participants/contract_connection_suite.h"
#include "tests/participants/postgres/postgres_store.h"

namespace indoubt {

INDOUBT_INSTANTIATE_CONNECTED_CONTRACT(Postgres, PostgresStore::Start);

}  // namespace indoubt
