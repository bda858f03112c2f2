// What an adapter brings to the contract suite: a real store, how to break it, and
// how an outsider looks at it and writes to it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "faults/proxy.h"
#include "participants/participant.h"

namespace indoubt {

/// A real store of one kind that holds numbers under names ("a", "b"). One object
/// serves all cases of the suite, one after the other.
class ContractStore {
 public:
  virtual ~ContractStore() = default;

  /// Brings the store up, drops every prepared branch and all data, and sets "a"
  /// and "b" to 100; no other name exists.
  virtual Status Reset() = 0;

  /// A new participant called "store" on this store. Making two is allowed: the
  /// second stands for the coordinator after a crash.
  virtual std::unique_ptr<Participant> MakeParticipant() = 0;
  /// The same with another name.
  virtual std::unique_ptr<Participant> MakeNamed(const std::string& name) = 0;
  /// A participant called "store" whose store is not there.
  virtual std::unique_ptr<Participant> MakeUnreachable() = 0;

  /// Whether a server stands between the adapter and the data, and can be killed while the
  /// adapter lives. Where there is none, the suite kills the process with the adapter in it.
  virtual bool HasServer() const { return true; }
  /// Whether the adapter leaves an outcome record behind a commit until Participant::Forget,
  /// and lists it (Participant::ListOutcomes).
  virtual bool KeepsOutcomes() const { return false; }
  /// kill -9 of the server; called only where there is one.
  virtual void KillServer() = 0;
  /// Starts the killed server again on the same data; called only where there is one.
  virtual Status RestartServer() = 0;

  /// Adds `amount` to the number under `name`; touches no row (or fails) when
  /// there is none.
  virtual Statement Add(const std::string& name, int64_t amount) = 0;
  /// Makes `name`, which must not exist yet, with `value`.
  virtual Statement Insert(const std::string& name, int64_t value) = 0;
  /// Only reads the number under `name`.
  virtual Statement Read(const std::string& name) = 0;
  /// A statement that this store refuses; `reason` is a piece of what it then says.
  struct Failing {
    Statement statement;
    std::string reason;
  };
  virtual Failing MakeFailing() = 0;
  /// A statement whose number of touched rows is known and is not 7.
  virtual Statement TouchesNotSeven() = 0;

  /// The committed number under `name` as an outsider sees it; none: no such name.
  virtual std::optional<int64_t> Look(const std::string& name) = 0;
  /// Another client, as far as this store's documentation lets one write, tries to
  /// set `name` to `value` and gives up after a short while. Whether it wrote. Through the
  /// store's own shell, where it has one: that is what a person in a hurry uses.
  virtual bool OutsideWrite(const std::string& name, int64_t value) = 0;
  /// Leaves a prepared branch (or what comes nearest to it) of another program at
  /// the store, touching neither "a" nor "b"; Reset() removes it.
  virtual void LeaveForeignBranch() = 0;
  /// Whether the foreign branch is still there.
  virtual bool ForeignBranchIsThere() = 0;
};

/// A store behind connections, which the suite spoils (contract_connection_suite.h).
class ConnectedContractStore : public ContractStore {
 public:
  /// A participant called "store" all of whose connections go through proxy().
  virtual std::unique_ptr<Participant> MakeProxied() = 0;
  /// Stands before the server, at the same address over its restarts.
  virtual Proxy& proxy() = 0;
};

/// Makes the store; called once for each suite of a test program.
using ContractStoreFactory = std::unique_ptr<ContractStore> (*)();

}  // namespace indoubt
