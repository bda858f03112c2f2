// The bytes of commits and ends are protobuf's, in both directions.
#include "recovery/log_wire.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "proto/records.pb.h"

namespace indoubt {
namespace {

Gid GidOf(uint32_t incarnation, uint64_t number) {
  return Gid{"shop-1", *LogId::Parse("k3j5x2a7qz"), incarnation, number};
}

void Put(const Gid& gid, records::Gid* out) {
  out->set_node(std::string(gid.node.view()));
  out->set_log(std::string(gid.log.text()));
  out->set_incarnation(gid.incarnation);
  out->set_number(gid.number);
  out->set_home(std::string(gid.home.view()));
}

std::string ByProtobuf(const Decision& decision) {
  records::Record record;
  Put(decision.gid, record.mutable_commit()->mutable_gid());
  for (const BranchRecord& branch : decision.branches) {
    auto* added = record.mutable_commit()->add_branches();
    added->set_participant(branch.participant);
    added->set_token(branch.token);
  }
  record.mutable_commit()->set_request_id(decision.request.id);
  record.mutable_commit()->set_request_digest(decision.request.digest);
  return record.SerializeAsString();
}

std::string ByProtobuf(const EndRecord& end) {
  records::Record record;
  Put(end.gid, record.mutable_end()->mutable_gid());
  return record.SerializeAsString();
}

std::vector<Decision> Samples() {
  std::vector<Decision> samples;
  for (const uint64_t number :
       {uint64_t{1}, uint64_t{127}, uint64_t{128}, uint64_t{0xffff}, uint64_t{0xfffffffffff}}) {
    for (const uint32_t incarnation : {1u, 200u, 0xfffffu}) {
      samples.push_back({GidOf(incarnation, number), {{"accounts", "731"}}});
    }
  }
  samples.push_back({GidOf(0, 0), {}});
  samples.push_back({GidOf(1, 2), {{"stock", "7"}}, {"order:4711", 0xfedcba98}});
  samples.push_back({GidOf(1, 2), {}, {std::string(64, 'r')}});
  Gid decided_elsewhere = GidOf(3, 4);
  decided_elsewhere.home = "q4tz7";
  samples.push_back({decided_elsewhere, {{"accounts", "731"}}});
  samples.push_back({GidOf(1, 2), {{"a", ""}, {"b", std::string("\0\xff\0", 3)}}});
  samples.push_back({GidOf(1, 2), {{std::string(32, 'p'), std::string(256, '\x80')}}});
  samples.push_back({GidOf(1, 2), std::vector<BranchRecord>(100, {"stock", "7"})});
  return samples;
}

TEST(LogWire, WritesWhatProtobufWrites) {
  for (const Decision& decision : Samples()) {
    EXPECT_EQ(EncodeWire(decision), ByProtobuf(decision)) << decision.gid.ToString();
    const EndRecord end{decision.gid};
    EXPECT_EQ(EncodeWire(end), ByProtobuf(end)) << decision.gid.ToString();
  }
}

TEST(LogWire, ReadsWhatItWrites) {
  for (const Decision& decision : Samples()) {
    const auto commit = DecodeWire(EncodeWire(decision));
    ASSERT_TRUE(commit && std::holds_alternative<Decision>(*commit));
    EXPECT_EQ(std::get<Decision>(*commit), decision);
    const auto end = DecodeWire(EncodeWire(EndRecord{decision.gid}));
    ASSERT_TRUE(end && std::holds_alternative<EndRecord>(*end));
    EXPECT_EQ(std::get<EndRecord>(*end).gid, decision.gid);
  }
}

TEST(LogWire, LeavesOtherRecordsToProtobuf) {
  for (const LogRecord& record :
       {LogRecord(OpenedRecord{2, "shop-1", "now"}), LogRecord(AcceptedRecord{"why", "now"}),
        LogRecord(ForgetRecord{GidOf(1, 1)}), LogRecord(EndedRecord{GidOf(1, 1), "x", 5}),
        LogRecord(HeuristicRecord{GidOf(1, 1), "a", DecisionOutcome::kCommitted, "r", "t"})}) {
    EXPECT_FALSE(DecodeWire(EncodeLogRecord(record))) << record.index();
    EXPECT_TRUE(DecodeLogRecord(EncodeLogRecord(record))) << record.index();
  }
}

// A damaged body is never read as another transaction's, whatever reads it.
TEST(LogWire, AgreesWithProtobufOnDamagedBytes) {
  const uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const std::vector<Decision> samples = Samples();
  for (int i = 0; i < 20'000; ++i) {
    std::string body = EncodeWire(samples[random() % samples.size()]);
    for (uint64_t flips = 1 + random() % 3; flips > 0; --flips) {
      body[random() % body.size()] ^= static_cast<char>(1u << random() % 8);
    }
    if (random() % 4 == 0) body.resize(random() % (body.size() + 1));
    const auto read = DecodeWire(body);
    if (!read) continue;
    records::Record record;
    ASSERT_TRUE(record.ParseFromString(body)) << i;
    const auto* decision = std::get_if<Decision>(&*read);
    ASSERT_EQ(record.has_commit(), decision != nullptr) << i;
    const records::Gid& gid = decision ? record.commit().gid() : record.end().gid();
    const Gid& ours = decision ? decision->gid : std::get<EndRecord>(*read).gid;
    EXPECT_EQ(gid.node(), ours.node);
    EXPECT_EQ(gid.log(), ours.log.text());
    EXPECT_EQ(gid.incarnation(), ours.incarnation);
    EXPECT_EQ(gid.number(), ours.number);
    if (!decision) continue;
    EXPECT_EQ(record.commit().request_id(), decision->request.id);
    EXPECT_EQ(record.commit().request_digest(), decision->request.digest);
    ASSERT_EQ(record.commit().branches_size(), static_cast<int>(decision->branches.size()));
    for (int b = 0; b < record.commit().branches_size(); ++b) {
      EXPECT_EQ(record.commit().branches(b).participant(),
                decision->branches[static_cast<size_t>(b)].participant);
      EXPECT_EQ(record.commit().branches(b).token(),
                decision->branches[static_cast<size_t>(b)].token);
    }
  }
}

TEST(LogWire, TextsOfAnotherHandAreReadPrintableAndCarriedOnAsTheyAre) {
  records::Record written;
  auto* heuristic = written.mutable_heuristic();
  Put(GidOf(1, 2), heuristic->mutable_gid());
  heuristic->set_participant("ledger");
  heuristic->set_reason(std::string("rolled \0 \x1b[31m back", 18));
  const auto read = DecodeLogRecord(written.SerializeAsString());
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(std::get<HeuristicRecord>(*read).reason, "rolled ? ?[31m bac");
  const auto again = DecodeLogRecord(EncodeLogRecord(*read));
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_EQ(std::get<HeuristicRecord>(*again), std::get<HeuristicRecord>(*read));
}

}  // namespace
}  // namespace indoubt
