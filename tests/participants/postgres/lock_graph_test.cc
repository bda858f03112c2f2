// Wait-die on pictures of lock waits that no server needs to draw.
#include "participants/postgres/lock_graph.h"

#include <gtest/gtest.h>

namespace indoubt::pg {
namespace {

Gid Numbered(uint64_t number, uint32_t incarnation = 1) {
  return {"n", *LogId::Parse("aaaaaaaaaa"), incarnation, number};
}
Gid OfAnotherLog(uint64_t number) { return {"n", *LogId::Parse("bbbbbbbbbb"), 1, number}; }

TEST(LockGraph, YoungerWaiterGivesWayToTheOldestHolderOnly) {
  LockGraph graph;
  graph.Add(10, 11, {Numbered(4)});
  graph.Add(10, 0, {Numbered(9), Numbered(3)});
  EXPECT_EQ(graph.MustGiveWayTo(10, Numbered(5)), Numbered(3));
  EXPECT_EQ(graph.MustGiveWayTo(10, Numbered(2)), std::nullopt);
  EXPECT_EQ(graph.MustGiveWayTo(12, Numbered(5)), std::nullopt) << "does not wait at all";
}

TEST(LockGraph, AgeIsTheIncarnationBeforeTheNumber) {
  LockGraph graph;
  graph.Add(10, 11, {Numbered(900, 1)});
  EXPECT_EQ(graph.MustGiveWayTo(10, Numbered(1, 2)), Numbered(900, 1));
}

TEST(LockGraph, OfTwoLogsExactlyOneGivesWay) {
  LockGraph graph;
  graph.Add(10, 11, {OfAnotherLog(7)});
  graph.Add(11, 0, {});
  graph.Add(20, 0, {OfAnotherLog(7)});
  graph.Add(30, 0, {Numbered(7)});
  EXPECT_EQ(graph.MustGiveWayTo(20, Numbered(7)), std::nullopt);
  EXPECT_EQ(graph.MustGiveWayTo(30, OfAnotherLog(7)), Numbered(7));
}

TEST(LockGraph, HolderThatIsNotOursIsWaitedFor) {
  LockGraph graph;
  graph.Add(10, 11, {});
  EXPECT_EQ(graph.MustGiveWayTo(10, Numbered(5)), std::nullopt);
}

TEST(LockGraph, QueueInFrontDoesNotCountButWhatItsHeadWaitsFor) {
  LockGraph graph;
  graph.Add(10, 11, {Numbered(1)});  // older, and waits itself
  graph.Add(11, 12, {});             // psql in between
  graph.Add(12, 13, {Numbered(8)});  // younger than the waiter
  EXPECT_EQ(graph.MustGiveWayTo(10, Numbered(5)), std::nullopt);
  graph.Add(12, 0, {Numbered(2)});
  EXPECT_EQ(graph.MustGiveWayTo(10, Numbered(5)), Numbered(2));
}

TEST(LockGraph, CycleWithinTheServerIsLeftToIt) {
  LockGraph graph;
  graph.Add(10, 11, {Numbered(1)});
  graph.Add(11, 10, {Numbered(5)});
  EXPECT_EQ(graph.MustGiveWayTo(10, Numbered(5)), std::nullopt);
}

TEST(LockGraph, AnotherBranchOfItsOwnTransactionWouldNeverLetGo) {
  LockGraph graph;
  graph.Add(10, 0, {Numbered(5)});
  EXPECT_EQ(graph.MustGiveWayTo(10, Numbered(5)), Numbered(5));
}

TEST(LockGraph, ReadsGidsOfSessionsAndOfPreparedBranches) {
  const auto row = [](int64_t waiter, int64_t blocker, Value holders) {
    return Value{std::vector<Value>{Value{waiter}, Value{blocker}, std::move(holders)}};
  };
  Reply answer{.kind = Reply::Kind::kDone};
  answer.result.values = {
      row(10, 11, Value{Numbered(4).ToString()}),
      row(12, 0, Value{"idt:" + Numbered(6).ToString() + ":store idt:another program"}),
      row(13, 14, Value{std::string("psql")}), row(15, 16, Value{})};
  const LockGraph graph(ScriptReply{.replies = {answer}});
  EXPECT_EQ(graph.MustGiveWayTo(10, Numbered(5)), Numbered(4));
  EXPECT_EQ(graph.MustGiveWayTo(12, Numbered(7)), Numbered(6));
  EXPECT_EQ(graph.MustGiveWayTo(13, Numbered(7)), std::nullopt);
  EXPECT_EQ(graph.MustGiveWayTo(15, Numbered(7)), std::nullopt);
  EXPECT_EQ(LockGraph(ScriptReply{.lost = true}).MustGiveWayTo(10, Numbered(5)), std::nullopt);
}

}  // namespace
}  // namespace indoubt::pg
