// Redis passes the contract of all adapters.
#include "faults/proxy.h"
#include "faults/servers.h"
#include "participants/redis/redis_keys.h"
#include "participants/redis/redis_participant.h"
#include "tests/participants/contract_connection_suite.h"
#include "tests/participants/redis/redis_ask.h"

namespace indoubt {
namespace {

class RedisContractStore final : public ConnectedContractStore {
 public:
  RedisContractStore() {
    auto server = RedisServer::Start(folder_.path());
    INDOUBT_CHECK(server.has_value(), server.error().ToString());
    server_ = std::move(*server);
    auto proxy = Proxy::Start(
        {.listen = "unix:" + ProxiedPath(), .server = "unix:" + server_->socket_path()});
    INDOUBT_CHECK(proxy.has_value(), proxy.error().ToString());
    proxy_ = std::move(*proxy);
  }
  Status Reset() override {
    if (server_->pid() < 0) INDOUBT_RETURN_IF_ERROR(server_->Restart());
    Ask(*server_, {"FLUSHALL"});
    Ask(*server_, {"MSET", "a", "100", "b", "100"});
    return Status::Ok();
  }
  bool KeepsOutcomes() const override { return true; }
  std::unique_ptr<Participant> MakeParticipant() override { return MakeRedis(server_->uri()); }
  std::unique_ptr<Participant> MakeNamed(const std::string& name) override {
    auto made = MakeRedisParticipant({.name = name, .uri = server_->uri()});
    INDOUBT_CHECK(made.has_value(), made.error().ToString());
    return std::move(*made);
  }
  std::unique_ptr<Participant> MakeProxied() override {
    return MakeRedis("unix://" + ProxiedPath() + "?db=0");
  }
  Proxy& proxy() override { return *proxy_; }
  std::unique_ptr<Participant> MakeUnreachable() override {
    return MakeRedis("unix://" + folder_.path() + "/missing.sock");
  }
  void KillServer() override { server_->Kill(); }
  Status RestartServer() override { return server_->Restart(); }
  Statement Add(const std::string& name, int64_t amount) override {
    return {"INCRBY $1 $2", {{name}, {amount}}, {}};
  }
  Statement Insert(const std::string& name, int64_t value) override {
    return {"SET $1 $2 NX", {{name}, {value}}, 1};
  }
  Statement Read(const std::string& name) override { return {"GET $1", {{name}}, {}}; }
  Failing MakeFailing() override { return {{"LPUSH a x", {}, {}}, "WRONGTYPE"}; }
  Statement TouchesNotSeven() override { return {"INCR a", {}, {}}; }
  std::optional<int64_t> Look(const std::string& name) override {
    const std::string text = Ask(*server_, {"GET", name});
    return text.empty() ? std::nullopt : std::optional<int64_t>(std::stoll(text));
  }
  /// A cooperative client at redis-cli: it looks at the locks first.
  bool OutsideWrite(const std::string& name, int64_t value) override {
    const auto ran = RunProgram(
        {.argv = {"redis-cli", "-s", server_->socket_path(), "EVAL",
                  R"(if redis.call('HEXISTS', KEYS[2], KEYS[1]) == 1 then return 0 end
                     redis.call('SET', KEYS[1], ARGV[1]) return 1)",
                  "2", name, std::string(kRedisLocksKey), std::to_string(value)}},
        SystemClock().Now() + std::chrono::seconds(30));
    return ran && ran->starts_with("1");
  }
  void LeaveForeignBranch() override {
    Ask(*server_, {"HSET", std::string(kRedisPreparedKey), "another program", "x"});
  }
  bool ForeignBranchIsThere() override {
    return Ask(*server_, {"HEXISTS", std::string(kRedisPreparedKey), "another program"}) == "1";
  }

 private:
  std::string ProxiedPath() const { return folder_.path() + "/proxied.sock"; }

  ScratchFolder folder_{"indoubt-redis-contract"};
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<Proxy> proxy_;
};

std::unique_ptr<ContractStore> MakeRedisContractStore() {
  return std::make_unique<RedisContractStore>();
}

}  // namespace

INDOUBT_INSTANTIATE_CONNECTED_CONTRACT(Redis, MakeRedisContractStore);

}  // namespace indoubt
