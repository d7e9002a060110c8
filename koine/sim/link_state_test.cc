#include "koine/sim/link_state.h"

#include <gtest/gtest.h>

#include <functional>

#include "koine/base/random.h"
#include "koine/sim/lines_test.h"

namespace koine::sim {
namespace {

using wire::Ipv4Address;
using wire::Ipv6Address;

class Net : public Lines<LinkState> {
 public:
  LinkState& add(const LinkStateOptions& options = {}) {
    return Lines::add(std::make_unique<LinkState>(RouterId(size() + 1), options));
  }
};

// 0 - 1 - 3, and the longer way 0 - 2 - 3; behind 3 there is 4.
class Diamond : public testing::Test {
 protected:
  Diamond() {
    for (int i = 0; i < 5; ++i) net.add();
    net.join(0, 1);
    net.join(1, 3);
    net.join(0, 2, 5);
    net.join(2, 3, 5);
    net.join(3, 4);
  }
  Net net;
};

TEST_F(Diamond, TheShortestWayWins) {
  net.run_for(2s);
  EXPECT_EQ(net.hop(0, 4), "10.0.0.2");
  EXPECT_EQ(net.hop(4, 0), "10.0.4.1");
  EXPECT_EQ(net[0].routers(), 5U);
  EXPECT_EQ(net.hop(0, 0), "") << "our own link needs no neighbor";
}

TEST_F(Diamond, NewsOfALinkThatIsSeenToFailTravelAtOnce) {
  net.run_for(2s);
  net.set_up(1, false);
  net.run_for(100ms);
  EXPECT_EQ(net.hop(0, 4), "10.0.2.2");
  net.set_up(1, true);
  net.run_for(3s);
  EXPECT_EQ(net.hop(0, 4), "10.0.0.2");
}

TEST_F(Diamond, ASilentNeighborIsGoneAfterTheDeadInterval) {
  net.run_for(2s);
  net.set_up(1, false, false);
  net.run_for(700ms);
  EXPECT_EQ(net.hop(0, 4), "10.0.0.2");
  net.run_for(600ms);
  EXPECT_EQ(net.hop(0, 4), "10.0.2.2");
}

TEST_F(Diamond, LostMessagesAreSaidAgain) {
  net.loss = 0.3;
  net.run_for(60s);
  net.loss = 0;
  net.run_for(5s);
  EXPECT_EQ(net.hop(0, 4), "10.0.0.2");
  EXPECT_GT(net[0].counters().repeated, 0U);
}

TEST_F(Diamond, AtRestOnlyHellosAreSaid) {
  net.run_for(5s);
  const auto updates = net[3].counters().updates;
  const auto before = net.messages;
  net.run_for(10s);
  EXPECT_EQ(net[3].counters().updates, updates);
  EXPECT_EQ(net.messages - before, 40U * 10U) << "four a second at each end of five links";
}

TEST(LinkState, EquallyLongWaysAreAllUsed) {
  Net net;
  for (int i = 0; i < 4; ++i) net.add();
  net.join(0, 1);
  net.join(0, 2);
  net.join(1, 3);
  net.join(2, 3);
  net.join(0, 3, 2);
  net.run_for(2s);
  EXPECT_EQ(net.hop(0, 2), "10.0.0.2") << "what hangs on 1 is nearest through 1";
  net.add();
  net.join(3, 4);
  net.run_for(2s);
  EXPECT_EQ(net.hop(0, 5), "10.0.0.2 10.0.1.2 10.0.4.2");
}

TEST(LinkState, ALinkThatOneEndAloneTellsOfDoesNotCount) {
  Net net;
  for (int i = 0; i < 3; ++i) net.add();
  net.join(0, 1);
  net.join(1, 2);
  net.run_for(2s);
  EXPECT_EQ(net.hop(0, 1), "10.0.0.2");
  // A message that says: router 9 has a link to router 1, and the network 10.0.99.0/24.
  std::vector<std::byte> lie;
  const auto put = [&](std::initializer_list<int> bytes) {
    for (const int byte : bytes) lie.push_back(static_cast<std::byte>(byte));
  };
  put({'K', 'L', 1, 2, 0, 0, 0, 2});                // an update, from router 2
  put({0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1, 0, 1});  // of router 9
  put({0, 0, 0, 1, 0, 0, 0, 1});                    // a link to router 1
  put({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 99, 0, 24});
  net[0].input(0, {Ipv4Address::of(10, 0, 0, 2), 0}, lie, net.now);
  EXPECT_EQ(net[0].counters().malformed, 0U);
  EXPECT_EQ(net[0].routers(), 4U) << "it is known";
  net.run_for(2s);
  EXPECT_EQ(net.hop(0, 99), "") << "and not believed";
}

TEST(LinkState, WhatIsCutShortOrDamagedIsCountedAndDoesNoHarm) {
  Net net;
  for (int i = 0; i < 3; ++i) net.add();
  net.join(0, 1);
  net.join(1, 2);
  net.run_for(3s);
  ASSERT_GT(net.kept.size(), 10U);
  Prng chance(1);
  LinkState victim(77, {});
  RouterInterface interface;
  interface.v4 = Ipv4Address::of(10, 0, 0, 1);
  victim.set_interface(0, interface, net.now);
  for (const auto& whole : net.kept) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto before = victim.counters().malformed;
      victim.input(0, {Ipv4Address::of(10, 0, 0, 2), 0}, Bytes(whole).first(size), net.now);
      EXPECT_EQ(victim.counters().malformed, before + 1) << size << " of " << whole.size();
    }
    for (int time = 0; time < 200; ++time) {
      auto damaged = whole;
      damaged[chance.below(damaged.size())] ^= static_cast<std::byte>(1 + chance.below(255));
      victim.input(chance.below(3), {Ipv4Address::of(10, 0, 0, 2), 0}, damaged, net.now);
    }
  }
  for (int i = 0; i < 100 && victim.poll_transmit(net.now); ++i) {
  }
  (void)victim.poll_routes(net.now + 10s);
}

TEST(LinkState, WhoBootsAnewIsHeardThoughOthersRememberItsFormerLife) {
  Net net;
  net.add();
  net.add();
  net.join(0, 1);
  net.run_for(5s);
  // Router 1 again, from the beginning, with a second network.
  LinkState reborn(1, {});
  RouterInterface interface;
  interface.v4 = Ipv4Address::of(10, 0, 0, 1);
  reborn.set_interface(0, interface, net.now);
  interface.v4 = Ipv4Address::of(10, 0, 50, 1);
  reborn.set_interface(1, interface, net.now);
  std::optional<RouteTable> table;
  for (int step = 0; step < 3'000; ++step) {
    net.now += 1ms;
    while (const auto message = reborn.poll_transmit(net.now))
      if (message->interface == 0)
        net[1].input(0, {Ipv4Address::of(10, 0, 0, 1), 0}, message->bytes, net.now);
    while (const auto message = net[1].poll_transmit(net.now))
      reborn.input(0, {Ipv4Address::of(10, 0, 0, 2), 0}, message->bytes, net.now);
    if (auto routes = net[1].poll_routes(net.now)) table = std::move(routes);
  }
  ASSERT_TRUE(table);
  EXPECT_TRUE(table->contains({Ipv4Address::of(10, 0, 50, 0), 24}));
}

}  // namespace
}  // namespace koine::sim
