// A private PostgreSQL for the adapter's tests, and an outsider's view of it.
#pragma once

#include <memory>
#include <string>

#include <libpq-fe.h>

#include "faults/proxy.h"
#include "faults/servers.h"
#include "tests/participants/contract_store.h"

namespace indoubt {

/// Table `held (name text primary key, amount bigint)` on a server of its own.
class PostgresStore : public ConnectedContractStore {
 public:
  /// Null, with the reason on stderr, when the server does not start.
  static std::unique_ptr<ContractStore> Start();

  Status Reset() override;
  std::unique_ptr<Participant> MakeParticipant() override;
  std::unique_ptr<Participant> MakeNamed(const std::string& name) override;
  std::unique_ptr<Participant> MakeUnreachable() override;
  std::unique_ptr<Participant> MakeProxied() override;
  Proxy& proxy() override { return *proxy_; }
  void KillServer() override;
  Status RestartServer() override;
  Statement Add(const std::string& name, int64_t amount) override;
  Statement Insert(const std::string& name, int64_t value) override;
  Statement Read(const std::string& name) override;
  Failing MakeFailing() override;
  Statement TouchesNotSeven() override;
  std::optional<int64_t> Look(const std::string& name) override;
  bool OutsideWrite(const std::string& name, int64_t value) override;
  void LeaveForeignBranch() override;
  bool ForeignBranchIsThere() override;

  PostgresServer& server() { return *server_; }
  /// Runs one command as a person with psql would: the first field, or "ERROR:
  /// sqlstate".
  std::string Psql(const std::string& sql);
  /// A participant called "store" with `extra` added to its connection string.
  std::unique_ptr<Participant> MakeParticipantWith(const std::string& extra,
                                                   int max_connections = 8,
                                                   const std::string& name = "store");

 private:
  PostgresStore() : folder_("indoubt-postgres-test") {}
  ScratchFolder folder_;
  std::unique_ptr<PostgresServer> server_;
  std::unique_ptr<Proxy> proxy_;
  std::unique_ptr<PGconn, void (*)(PGconn*)> outsider_{nullptr, PQfinish};
};

}  // namespace indoubt
