// The memory adapter passes the installed contract suite. With BREAK_THE_PROMISE set, its
// store lets other writers past the locks of a prepared branch, and it must not.
#include <cstdlib>

#include <indoubt/tests/participants/contract_suite.h>

#include "memory_participant.h"

namespace {

using indoubt::Statement;
using indoubt::Status;

class MemoryContractStore final : public indoubt::ContractStore {
 public:
  Status Reset() override {
    store_.Change([](Contents& contents) {
      contents = Contents{};
      return contents.Set("a", 100) && contents.Set("b", 100);
    });
    return Status::Ok();
  }
  std::unique_ptr<indoubt::Participant> MakeParticipant() override {
    return MakeMemoryParticipant("store", &store_);
  }
  std::unique_ptr<indoubt::Participant> MakeNamed(const std::string& name) override {
    return MakeMemoryParticipant(name, &store_);
  }
  std::unique_ptr<indoubt::Participant> MakeUnreachable() override {
    return MakeMemoryParticipant("store", nullptr);
  }
  bool HasServer() const override { return false; }
  void KillServer() override { std::abort(); }
  Status RestartServer() override {
    return Status(indoubt::StatusCode::kInternal, "there is no server");
  }

  Statement Add(const std::string& name, int64_t amount) override {
    return {"add " + name + " " + std::to_string(amount), {}, {}};
  }
  Statement Insert(const std::string& name, int64_t value) override {
    return {"insert " + name + " " + std::to_string(value), {}, {}};
  }
  Statement Read(const std::string& name) override { return {"read " + name, {}, {}}; }
  Failing MakeFailing() override { return {{"insert a 1", {}, {}}, "that name is taken"}; }
  Statement TouchesNotSeven() override { return Add("a", 1); }

  std::optional<int64_t> Look(const std::string& name) override {
    std::optional<int64_t> held;
    store_.Change([&](Contents& contents) {
      if (const Number* number = contents.Find(name)) held = number->value;
      return false;
    });
    return held;
  }
  bool OutsideWrite(const std::string& name, int64_t value) override {
    bool wrote = false;
    store_.Change([&](Contents& contents) {
      const bool locked = contents.HolderOf(name) && !std::getenv("BREAK_THE_PROMISE");
      return wrote = !locked && contents.Set(name, value);
    });
    return wrote;
  }
  void LeaveForeignBranch() override {
    store_.Change([](Contents& contents) { return contents.foreign = true; });
  }
  bool ForeignBranchIsThere() override {
    bool there = false;
    store_.Change([&](Contents& contents) {
      there = contents.foreign;
      return false;
    });
    return there;
  }

 private:
  MemoryStore store_;
};

std::unique_ptr<indoubt::ContractStore> MakeMemoryContractStore() {
  return std::make_unique<MemoryContractStore>();
}

}  // namespace

namespace indoubt {

INDOUBT_INSTANTIATE_CONTRACT(Memory, MakeMemoryContractStore);

// What contract_connection_suite.h puts before a server comes with the package.
TEST(ConnectedStore, HasAProxyToStandBeforeItsServer) {
  const auto proxy = Proxy::Start({.listen = "tcp:127.0.0.1:0", .server = "tcp:127.0.0.1:1"});
  ASSERT_TRUE(proxy) << proxy.error().ToString();
  EXPECT_THAT((*proxy)->address(), testing::StartsWith("tcp:127.0.0.1:"));
}

}  // namespace indoubt
