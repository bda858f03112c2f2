// A yes waits for the copies that the server promises: by WAIT on a real master and
// replica, by WAITAOF on a small server that answers like Redis 7.2.
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include <signal.h>
#include <sys/un.h>

#include "tests/participants/redis/redis_fixture.h"

namespace indoubt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Speaks as much of Redis 7.2 as the adapter asks for. Outlives its clients.
class FakeRedis72 {
 public:
  explicit FakeRedis72(std::string path) : path_(std::move(path)) {
    listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    INDOUBT_CHECK(
        bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
            listen(listener_, 8) == 0,
        "cannot listen");
    thread_ = std::thread([this] {
      for (int fd = -1; (fd = accept(listener_, nullptr, nullptr)) >= 0;) {
        connections_.emplace_back([this, fd] {
          Serve(fd);
          close(fd);
        });
      }
    });
  }
  ~FakeRedis72() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (std::thread& connection : connections_) connection.join();
    close(listener_);
  }
  std::string uri() const { return "unix://" + path_; }

  std::atomic<int> copies_on_disk = 1;
  /// What was waited for.
  std::vector<std::string> waits() {
    const std::lock_guard lock(mutex_);
    return waits_;
  }

 private:
  /// Reads up to CR LF, and past it; empty at the end of the connection.
  static std::string Line(int fd) {
    std::string line;
    for (char c = 0; read(fd, &c, 1) == 1;) {
      if (c == '\n') return line;
      if (c != '\r') line += c;
    }
    return "";
  }
  void Serve(int fd) {
    for (std::string line = Line(fd); !line.empty(); line = Line(fd)) {
      std::vector<std::string> words(std::stoul(line.substr(1)));
      for (std::string& word : words) {
        word.resize(std::stoul(Line(fd).substr(1)));
        for (size_t got = 0; got < word.size();) {
          const ssize_t some = read(fd, word.data() + got, word.size() - got);
          if (some <= 0) return;
          got += static_cast<size_t>(some);
        }
        Line(fd);
      }
      const std::string reply = Answer(words);
      if (send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) return;
    }
  }
  static std::string Bulk(const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }
  std::string Answer(const std::vector<std::string>& words) {
    if (words[0] == "INFO") {
      return Bulk("# Server\r\nredis_version:7.2.4\r\nrole:master\r\ncluster_enabled:0\r\n");
    }
    if (words[0] == "CONFIG") {
      const std::map<std::string, std::string> values{{"appendonly", "yes"},
                                                      {"appendfsync", "always"},
                                                      {"no-appendfsync-on-rewrite", "no"},
                                                      {"maxmemory-policy", "noeviction"},
                                                      {"min-replicas-to-write", "0"}};
      return "*2\r\n" + Bulk(words[2]) + Bulk(values.at(words[2]));
    }
    if (words[0] == "WAITAOF") {
      const std::lock_guard lock(mutex_);
      waits_.push_back(words[1] + " " + words[2]);
      return "*2\r\n:" + std::to_string(copies_on_disk) + "\r\n:0\r\n";
    }
    if (words[0] != "FCALL") return "+OK\r\n";
    if (words[1] == "indoubt_version") return "-ERR Function not found\r\n";
    if (words[1] == "indoubt_prepare") return "*2\r\n" + Bulk("yes") + "*0\r\n";
    return "*1\r\n" + Bulk("done");
  }

  const std::string path_;
  int listener_ = -1;
  std::mutex mutex_;  // guards waits_
  std::vector<std::string> waits_;
  std::vector<std::thread> connections_;  // thread_'s own, while it runs
  std::thread thread_;
};

TEST(RedisWaitAof, VoteIsUnknownAndCommitAskedAgainUntilTheAofIsOnDisk) {
  ScratchFolder folder("indoubt-redis-72");
  FakeRedis72 server(folder.path() + "/fake.sock");
  const auto participant = MakeRedis(server.uri());
  const Gid gid = NewTestGid();
  EXPECT_EQ(PrepareNow(*participant, gid, {{"SET k v", {}, {}}}).vote.kind, VoteKind::kYes);
  EXPECT_THAT(server.waits(), ElementsAre("1 0"));
  server.copies_on_disk = 0;
  const Vote vote = PrepareNow(*participant, NewTestGid(), {{"SET k v", {}, {}}}).vote;
  EXPECT_EQ(vote.kind, VoteKind::kUnknown);
  EXPECT_THAT(vote.reason, HasSubstr("0 of 1 AOF"));
  EXPECT_EQ(StartCommit(*participant, gid, "", TestDeadline()).get().kind, AckKind::kRetry);
  server.copies_on_disk = 1;
  EXPECT_EQ(CommitNow(*participant, gid, "").kind, AckKind::kDone);
}

TEST(RedisWaitAof, RelaxedDoesNotWaitForAnAof) {
  ScratchFolder folder("indoubt-redis-72");
  FakeRedis72 server(folder.path() + "/fake.sock");
  const auto participant = MakeRedis(server.uri(), RedisDurability::kRelaxed);
  EXPECT_EQ(PrepareNow(*participant, NewTestGid(), {{"SET k v", {}, {}}}).vote.kind,
            VoteKind::kYes);
  EXPECT_TRUE(server.waits().empty());
}

using RedisWait = OwnRedis;

TEST_F(RedisWait, VoteIsUnknownAndCommitAskedAgainUntilTheReplicaHasIt) {
  ScratchFolder folder("indoubt-redis-replica");
  auto replica = RedisServer::Start(folder.path());
  ASSERT_TRUE(replica) << replica.error().ToString();
  Ask(**replica, {"REPLICAOF", "127.0.0.1", OpenTcpPort(*server_)});
  while (Say({"INFO", "replication"}).find("state=online") == std::string::npos) {
  }
  Say({"CONFIG", "SET", "min-replicas-to-write", "1"});
  const Gid gid = NewTestGid();
  const Vote yes = Prepare(gid, {"SET k v"});
  ASSERT_EQ(yes.kind, VoteKind::kYes) << yes.reason;
  EXPECT_EQ(Ask(**replica, {"HLEN", std::string(kRedisPreparedKey)}), "1");
  ASSERT_EQ(kill((*replica)->pid(), SIGSTOP), 0);
  const Gid lost = NewTestGid();
  const Vote vote = Prepare(lost, {"SET l v"});
  EXPECT_EQ(vote.kind, VoteKind::kUnknown);
  EXPECT_THAT(vote.reason, HasSubstr("0 of 1 replicas"));
  EXPECT_EQ(StartCommit(*participant_, gid, "", TestDeadline()).get().kind, AckKind::kRetry);
  ASSERT_EQ(kill((*replica)->pid(), SIGCONT), 0);
  EXPECT_EQ(CommitNow(*participant_, gid, "").kind, AckKind::kDone);
  EXPECT_EQ(RollbackNow(*participant_, lost).kind, AckKind::kDone);
  ExpectClean();
}

}  // namespace
}  // namespace indoubt
