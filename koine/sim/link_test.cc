#include "koine/sim/link.h"

#include <gtest/gtest.h>

#include "koine/sim/rate.h"

namespace koine::sim {
namespace {

/// Notes what arrives, and when.
class Sink final : public Node {
 public:
  Sink(std::string name, Timeline& timeline) : Node(std::move(name)), timeline_(timeline) {}

  void receive(Nic&, Frame frame) override {
    arrivals.push_back({timeline_.now().time_since_epoch(), std::string(as_text(frame.bytes()))});
  }
  void carrier_changed(Nic& nic) override { carrier.push_back(nic.has_carrier); }
  void attached(Nic&) override {}

  struct Arrival {
    Duration at;
    std::string text;
  };
  std::vector<Arrival> arrivals;
  std::vector<bool> carrier;

 private:
  Timeline& timeline_;
};

class LinkTest : public testing::Test {
 protected:
  LinkTest() {
    for (Sink* sink : {&a, &b}) {
      nics.push_back({.node = sink, .name = sink->name() + ":eth0", .mac = {}});
    }
  }

  LinkDirection& plug(const LinkOptions& options) {
    link.emplace(timeline, "a-b", nics[0], nics[1], options, options);
    return link->towards(b);
  }
  Frame frame(std::size_t size, char letter = 'x') {
    return frames.copy(as_bytes(std::string(size, letter)));
  }
  void run() {
    while (timeline.step()) {
    }
  }
  Duration now() const { return timeline.now().time_since_epoch(); }

  FramePool frames;
  Timeline timeline{1};
  Sink a{"a", timeline};
  Sink b{"b", timeline};
  std::vector<Nic> nics;
  std::optional<Link> link;
};

TEST_F(LinkTest, AFrameTakesItsTimeToBeSentAndThenTravels) {
  plug({.rate = 100_Mbit, .delay = 10ms});
  nics[0].send(frame(1514));
  nics[0].send(frame(1514));
  run();
  // 1 538 bytes on the wire: 123.04 us.
  ASSERT_EQ(b.arrivals.size(), 2U);
  EXPECT_EQ(b.arrivals[0].at, 10ms + 123'040ns);
  EXPECT_EQ(b.arrivals[1].at, 10ms + 246'080ns);
  EXPECT_TRUE(a.arrivals.empty());
}

TEST_F(LinkTest, WithoutARateNothingWaits) {
  plug({.delay = 3ms, .queue_bytes = 1});
  for (int i = 0; i < 100; ++i) nics[0].send(frame(1514));
  run();
  ASSERT_EQ(b.arrivals.size(), 100U);
  EXPECT_EQ(b.arrivals.back().at, 3ms);
}

TEST_F(LinkTest, DropsFromTheTailWhatItsQueueDoesNotHold) {
  LinkDirection& there = plug({.rate = 1_Mbit, .queue_bytes = 5'000});
  for (int i = 0; i < 10; ++i) nics[0].send(frame(1'000, static_cast<char>('0' + i)));
  run();
  std::string order;
  for (const auto& arrival : b.arrivals) order += arrival.text.front();
  // Of 1 024 bytes each, with what Ethernet adds: 4 096 wait, and another 1 000 would be too much.
  EXPECT_EQ(order, "0123");
  EXPECT_EQ(there.counters().queue_full, 6U);
}

TEST_F(LinkTest, DropsWhatIsLargerThanItsMtu) {
  LinkDirection& there = plug({.mtu = 1000});
  nics[0].send(frame(1014));
  nics[0].send(frame(1015));
  run();
  EXPECT_EQ(b.arrivals.size(), 1U);
  EXPECT_EQ(there.counters().too_large, 1U);
}

TEST_F(LinkTest, LosesTheShareThatItWasToldTo) {
  LinkDirection& there = plug({.loss = 0.1});
  for (int i = 0; i < 10'000; ++i) nics[0].send(frame(60));
  run();
  // Five standard deviations: sqrt(10 000 * 0.1 * 0.9) = 30.
  EXPECT_NEAR(static_cast<double>(there.counters().lost), 1'000, 150);
  EXPECT_EQ(b.arrivals.size() + there.counters().lost, 10'000U);
}

TEST_F(LinkTest, LosesInBurstsAsGilbertAndElliottHaveIt) {
  LinkDirection& there = plug({.bursts = GilbertElliott{.to_bad = 0.01, .to_good = 0.1}});
  int bursts = 0;
  bool was_lost = false;
  for (int i = 0; i < 100'000; ++i) {
    const auto before = there.counters().lost;
    nics[0].send(frame(60));
    const bool lost = there.counters().lost != before;
    bursts += lost && !was_lost ? 1 : 0;
    was_lost = lost;
  }
  // The chain is bad for 0.01 / (0.01 + 0.1) of the time, 10 frames in a row on average.
  const auto lost = static_cast<double>(there.counters().lost);
  EXPECT_NEAR(lost, 9'091, 900);
  EXPECT_NEAR(lost / bursts, 10, 1);
}

TEST_F(LinkTest, JitterKeepsTheOrder) {
  plug({.delay = 10ms, .jitter = 5ms});
  std::string sent;
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    nics[0].send(frame(60, letter));
    sent += letter;
  }
  run();
  std::string order;
  for (const auto& arrival : b.arrivals) {
    EXPECT_GE(arrival.at, 10ms);
    EXPECT_LE(arrival.at, 15ms);
    order += arrival.text.front();
  }
  EXPECT_EQ(order, sent);
}

TEST_F(LinkTest, ReorderingLetsOthersOvertake) {
  LinkDirection& there = plug({.rate = 10_Mbit, .delay = 1ms, .reorder = 0.2, .reorder_by = 1ms});
  std::string sent;
  for (int i = 0; i < 100; ++i) {
    const char letter = static_cast<char>('!' + i % 90);
    nics[0].send(frame(60, letter));
    sent += letter;
  }
  run();
  std::string order;
  for (const auto& arrival : b.arrivals) order += arrival.text.front();
  EXPECT_NE(order, sent);
  std::ranges::sort(order);
  std::ranges::sort(sent);
  EXPECT_EQ(order, sent) << "nothing is lost by it";
  EXPECT_GT(there.counters().reordered, 5U);
}

TEST_F(LinkTest, DuplicatesArriveTwice) {
  plug({.duplicate = 1});
  nics[0].send(frame(60, 'd'));
  run();
  ASSERT_EQ(b.arrivals.size(), 2U);
  EXPECT_EQ(b.arrivals[0].text, b.arrivals[1].text);
}

TEST_F(LinkTest, DamagedFramesAreDroppedByTheirCheckSequenceOrArriveDamaged) {
  LinkDirection& there = plug({.corrupt = 1});
  nics[0].send(frame(60));
  run();
  EXPECT_TRUE(b.arrivals.empty());
  EXPECT_EQ(there.counters().damaged, 1U);
  link->set({.corrupt = 1, .check_sequence = false});
  const Frame sent = frame(60, 'c');
  nics[0].send(sent);
  run();
  ASSERT_EQ(b.arrivals.size(), 1U);
  EXPECT_NE(b.arrivals[0].text, std::string(60, 'c'));
  EXPECT_EQ(as_text(sent.bytes()), std::string(60, 'c')) << "others who have it see it undamaged";
}

TEST_F(LinkTest, ACutLosesWhatIsOnTheWayAndWhatFollows) {
  LinkDirection& there = plug({.delay = 10ms});
  nics[0].send(frame(60));
  timeline.pass(Instant(5ms));
  link->cut(Cut::silently);
  nics[0].send(frame(60));
  run();
  EXPECT_TRUE(b.arrivals.empty());
  EXPECT_EQ(there.counters().cut, 2U);
  EXPECT_TRUE(a.carrier.empty()) << "nobody can see it";
  link->mend();
  nics[0].send(frame(60));
  run();
  EXPECT_EQ(b.arrivals.size(), 1U);
}

TEST_F(LinkTest, BothEndsSeeThatACableWasPulledOut) {
  plug({});
  link->cut();
  link->cut();
  EXPECT_EQ(a.carrier, std::vector<bool>{false});
  EXPECT_EQ(b.carrier, std::vector<bool>{false});
  link->mend();
  EXPECT_EQ(a.carrier, (std::vector<bool>{false, true}));
}

TEST_F(LinkTest, OneDirectionMayBeCutAlone) {
  plug({});
  link->towards(b).cut();
  nics[0].send(frame(60));
  nics[1].send(frame(60));
  run();
  EXPECT_TRUE(b.arrivals.empty());
  EXPECT_EQ(a.arrivals.size(), 1U);
}

// Adding one kind of mishap leaves the others as they were.
TEST_F(LinkTest, EachKindOfMishapHasAChanceOfItsOwn) {
  const auto losses = [&](const LinkOptions& options) {
    Timeline another{3};
    Link other(another, "a-b", nics[0], nics[1], options, options);
    std::string lost;
    for (int i = 0; i < 500; ++i) {
      const auto before = other.towards(b).counters().lost;
      nics[0].send(frame(60));
      lost += other.towards(b).counters().lost != before ? 'x' : '.';
    }
    nics[0].out = nics[1].out = nullptr;
    return lost;
  };
  const std::string alone = losses({.loss = 0.2});
  EXPECT_EQ(losses({.jitter = 1ms, .loss = 0.2, .reorder = 0.5, .duplicate = 0.5}), alone);
}

TEST(Rate, CountsBitsExactly) {
  EXPECT_EQ((10_Mbit).time_for(1'250'000), 1s);
  EXPECT_EQ((3_bit).time_for(1), Duration(2'666'666'667));
  EXPECT_EQ((10_Mbit).bytes_in(1s), 1'250'000U);
  EXPECT_EQ(Rate{}.time_for(1'000), 0s);
}

}  // namespace
}  // namespace koine::sim
