#include "koine/sim/link_state.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "koine/base/random.h"

namespace koine::sim {
namespace {

using wire::Ipv4Address;
using wire::Ipv6Address;

/// Routers joined by lines, without a network below them.
class Lines {
 public:
  LinkState& add(const LinkStateOptions& options = {}) {
    routers_.push_back({std::make_unique<LinkState>(RouterId(routers_.size() + 1), options), 0});
    return *routers_.back().state;
  }
  LinkState& operator[](std::size_t i) { return *routers_[i].state; }

  /// A line, which is network number n of 10.0.n.0/24, with .1 at `a` and .2 at `b`.
  void join(std::size_t a, std::size_t b, std::uint32_t cost = 1) {
    const auto n = static_cast<std::uint8_t>(lines_.size());
    Line line{{a, b}, {routers_[a].ports++, routers_[b].ports++}, {}, true, cost};
    for (int end : {0, 1}) {
      line.v4[end] = Ipv4Address::of(10, 0, n, static_cast<std::uint8_t>(end + 1));
      set(line, end, true);
    }
    lines_.push_back(line);
  }

  /// Visibly, or not.
  void set_up(std::size_t line, bool up, bool is_seen = true) {
    lines_[line].is_up = up;
    for (int end : {0, 1})
      if (is_seen) set(lines_[line], end, up);
  }

  void run_for(Duration time) {
    const Instant until = now + time;
    for (;;) {
      for (std::size_t i = 0; i < routers_.size(); ++i) {
        while (const auto message = routers_[i].state->poll_transmit(now)) {
          ++messages;
          deliver(i, *message);
        }
        if (auto table = routers_[i].state->poll_routes(now)) routers_[i].table = *table;
      }
      if (!wire_.empty() && wire_.front().at <= now) {
        const Flying flying = std::move(wire_.front());
        wire_.pop_front();
        routers_[flying.to].state->input(flying.port, flying.from, flying.bytes, now);
        continue;
      }
      Instant next = wire_.empty() ? Instant::max() : wire_.front().at;
      for (const auto& router : routers_) next = std::min(next, router.state->next_deadline());
      if (next > until) break;
      now = std::max(next, now + 1ns);
    }
    now = until;
  }

  /// The next hop from a router to the network of a line; "" if it knows none.
  std::string hop(std::size_t from, std::uint8_t line) const {
    const auto found = routers_[from].table.find({Ipv4Address::of(10, 0, line, 0), 24});
    std::string text;
    if (found == routers_[from].table.end()) return text;
    for (const stack::Route& route : found->second)
      text += (text.empty() ? "" : " ") + stack::to_string(route.gateway);
    return text;
  }

  Instant now{1h};
  double loss = 0;
  std::uint64_t messages = 0;
  std::vector<std::vector<std::byte>> kept;  // some of each kind

 private:
  struct Line {
    std::size_t router[2];
    std::size_t port[2];
    Ipv4Address v4[2];
    bool is_up;
    std::uint32_t cost;
  };
  struct Known {
    std::unique_ptr<LinkState> state;
    std::size_t ports;
    RouteTable table{};
  };
  struct Flying {
    Instant at;
    std::size_t to;
    std::size_t port;
    stack::Ip from;
    std::vector<std::byte> bytes;
  };

  void set(const Line& line, int end, bool up) {
    LinkState::Interface interface;
    interface.v4 = line.v4[end];
    interface.v6 =
        Ipv6Address{std::uint64_t{0xfd} << 56 | line.v4[end].bits >> 8, line.v4[end].bits & 0xff};
    interface.cost = line.cost;
    interface.is_up = up;
    routers_[line.router[end]].state->set_interface(line.port[end], interface, now);
  }

  void deliver(std::size_t from, const LinkState::Message& message) {
    if (kept.size() < 200) kept.push_back(message.bytes);
    for (const Line& line : lines_) {
      for (int end : {0, 1}) {
        if (line.router[end] != from || line.port[end] != message.interface || !line.is_up)
          continue;
        if (chance_.chance(loss)) continue;
        wire_.push_back(
            {now + 1ms, line.router[1 - end], line.port[1 - end], line.v4[end], message.bytes});
      }
    }
  }

  std::vector<Known> routers_;
  std::vector<Line> lines_;
  std::deque<Flying> wire_;
  Prng chance_{1};
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
  Lines net;
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
  Lines net;
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
  Lines net;
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
  net[0].input(0, Ipv4Address::of(10, 0, 0, 2), lie, net.now);
  EXPECT_EQ(net[0].counters().malformed, 0U);
  EXPECT_EQ(net[0].routers(), 4U) << "it is known";
  net.run_for(2s);
  EXPECT_EQ(net.hop(0, 99), "") << "and not believed";
}

TEST(LinkState, WhatIsCutShortOrDamagedIsCountedAndDoesNoHarm) {
  Lines net;
  for (int i = 0; i < 3; ++i) net.add();
  net.join(0, 1);
  net.join(1, 2);
  net.run_for(3s);
  ASSERT_GT(net.kept.size(), 10U);
  Prng chance(1);
  LinkState victim(77, {});
  LinkState::Interface interface;
  interface.v4 = Ipv4Address::of(10, 0, 0, 1);
  victim.set_interface(0, interface, net.now);
  for (const auto& whole : net.kept) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto before = victim.counters().malformed;
      victim.input(0, Ipv4Address::of(10, 0, 0, 2), Bytes(whole).first(size), net.now);
      EXPECT_EQ(victim.counters().malformed, before + 1) << size << " of " << whole.size();
    }
    for (int time = 0; time < 200; ++time) {
      auto damaged = whole;
      damaged[chance.below(damaged.size())] ^= static_cast<std::byte>(1 + chance.below(255));
      victim.input(chance.below(3), Ipv4Address::of(10, 0, 0, 2), damaged, net.now);
    }
  }
  for (int i = 0; i < 100 && victim.poll_transmit(net.now); ++i) {
  }
  (void)victim.poll_routes(net.now + 10s);
}

TEST(LinkState, WhoBootsAnewIsHeardThoughOthersRememberItsFormerLife) {
  Lines net;
  net.add();
  net.add();
  net.join(0, 1);
  net.run_for(5s);
  // Router 1 again, from the beginning, with a second network.
  LinkState reborn(1, {});
  LinkState::Interface interface;
  interface.v4 = Ipv4Address::of(10, 0, 0, 1);
  reborn.set_interface(0, interface, net.now);
  interface.v4 = Ipv4Address::of(10, 0, 50, 1);
  reborn.set_interface(1, interface, net.now);
  std::optional<RouteTable> table;
  for (int step = 0; step < 3'000; ++step) {
    net.now += 1ms;
    while (const auto message = reborn.poll_transmit(net.now))
      if (message->interface == 0)
        net[1].input(0, Ipv4Address::of(10, 0, 0, 1), message->bytes, net.now);
    while (const auto message = net[1].poll_transmit(net.now))
      reborn.input(0, Ipv4Address::of(10, 0, 0, 2), message->bytes, net.now);
    if (auto routes = net[1].poll_routes(net.now)) table = std::move(routes);
  }
  ASSERT_TRUE(table);
  EXPECT_TRUE(table->contains({Ipv4Address::of(10, 0, 50, 0), 24}));
}

}  // namespace
}  // namespace koine::sim
