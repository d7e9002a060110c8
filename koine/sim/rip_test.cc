#include "koine/sim/rip.h"

#include <gtest/gtest.h>

#include "koine/sim/lines_test.h"
#include "koine/sim/story_test.h"
#include "koine/sim/test_seed.h"
#include "koine/sim/world.h"

namespace koine::sim {
namespace {

using wire::Ipv4Address;
using wire::Ipv4Prefix;
using wire::RipCommand;
using wire::RipEntry;
using wire::RipMessage;

/// Network number n of Lines.
Ipv4Prefix network(std::uint8_t n) { return {Ipv4Address::of(10, 0, n, 0), 24}; }

class Net : public Lines<Rip> {
 public:
  explicit Net(std::size_t routers, const RipOptions& options = {}, std::uint64_t seed = 1) {
    port = Rip::port;
    chance = Prng(seed);
    for (std::size_t i = 0; i < routers; ++i)
      add(std::make_unique<Rip>(Prng(seed * 1000 + i), options));
  }
  /// 0 - 1 - 2 ..., whose line n is between n and n + 1.
  static Net chain(std::size_t routers, const RipOptions& options = {}) {
    Net net(routers, options);
    for (std::size_t i = 0; i + 1 < routers; ++i) net.join(i, i + 1);
    return net;
  }
  std::uint32_t metric(std::size_t router, std::uint8_t line) {
    return (*this)[router].metric(network(line)).value_or(0);
  }
};

TEST(Rip, TellsEverybodyHowFarEverythingIsAsSoonAsThereAreLinks) {
  Net net = Net::chain(5);
  net.run_for(20s);
  for (std::uint8_t router = 0; router < 5; ++router) {
    for (std::uint8_t line = 0; line < 4; ++line) {
      const int steps = router <= line ? line - router : router - line - 1;
      EXPECT_EQ(net.metric(router, line), 1U + static_cast<unsigned>(steps))
          << +router << " to line " << +line;
    }
  }
  EXPECT_EQ(net.hop(0, 3), "10.0.0.2");
  EXPECT_EQ(net.hop(4, 0), "10.0.3.1");
  EXPECT_EQ(net.hop(0, 0), "") << "an own link needs no neighbor";
}

TEST(Rip, SaysAllOfItEveryThirtySecondsOrSo) {
  Net net = Net::chain(3);
  net.run_for(20s);
  const Rip::Counters before = net[1].counters();
  net.run_for(3000s);
  EXPECT_NEAR(static_cast<double>(net[1].counters().updates - before.updates), 100, 5);
  EXPECT_EQ(net[1].counters().triggered, before.triggered) << "nothing changed";
  EXPECT_EQ(net[1].counters().timeouts, 0U);
}

// 0 - 1 - 2, and the longer way 0 - 3 - 4 - 2; behind 2 there is 5, on line 5.
Net ring(const RipOptions& options = {}) {
  Net net(6, options);
  net.join(0, 1);
  net.join(1, 2);
  net.join(0, 3);
  net.join(3, 4);
  net.join(4, 2);
  net.join(2, 5);
  net.run_for(60s);
  return net;
}

TEST(Rip, FindsAnotherWayAfterAVisibleCutAndTheShortOneAfterItIsMended) {
  Net net = ring();
  EXPECT_EQ(net.hop(0, 5), "10.0.0.2");
  EXPECT_EQ(net.metric(0, 5), 3U);
  net.set_up(1, false);
  net.run_for(100ms);
  EXPECT_NE(net.hop(0, 5), "10.0.0.2") << "bad news are told at once";
  net.run_for(40s);
  EXPECT_EQ(net.hop(0, 5), "10.0.2.2") << "and within an update others say that they know a way";
  EXPECT_EQ(net.metric(0, 5), 4U);
  net.set_up(1, true);
  net.run_for(15s);
  EXPECT_EQ(net.hop(0, 5), "10.0.0.2");
}

TEST(Rip, BelievesASilentNeighborForThreeMinutes) {
  Net net = ring();
  net.set_up(1, false, false);
  net.run_for(140s);  // the last update came up to 35 s before
  EXPECT_EQ(net.hop(1, 5), "10.0.1.2") << "into the black hole";
  EXPECT_EQ(net.hop(0, 5), "10.0.0.2");
  net.run_for(40s + 40s);
  EXPECT_EQ(net.hop(0, 5), "10.0.2.2");
  EXPECT_EQ(net.hop(1, 5), "10.0.0.1");
  EXPECT_GT(net[1].counters().timeouts, 0U);
}

TEST(Rip, TellsOfWhatIsOutOfReachForTwoMinutesAndThenForgetsIt) {
  Net net = Net::chain(3);
  net.run_for(60s);
  net.set_up(1, false);
  net.run_for(1s);
  EXPECT_EQ(net.metric(0, 1), wire::rip_infinity);
  EXPECT_EQ(net.hop(0, 1), "");
  net.run_for(117s);
  EXPECT_EQ(net.metric(0, 1), wire::rip_infinity);
  net.run_for(4s);
  EXPECT_EQ(net[0].metric(network(1)), std::nullopt);
}

TEST(Rip, ReachesFifteenStepsAndNotSixteen) {
  Net net = Net::chain(18);
  net.run_for(200s);
  EXPECT_EQ(net.metric(0, 14), 15U);
  EXPECT_EQ(net.hop(0, 14), "10.0.0.2");
  EXPECT_EQ(net[0].metric(network(15)), std::nullopt);
  EXPECT_EQ(net[0].metric(network(16)), std::nullopt);
  EXPECT_EQ(net.metric(1, 15), 15U);
}

/// One router with two links, of which others speak.
struct Alone {
  explicit Alone(const RipOptions& options = {}) : rip(Prng(1), options) {
    for (std::uint8_t i = 0; i < 2; ++i) {
      RouterInterface interface;
      interface.v4 = Ipv4Address::of(10, 0, i, 1);
      rip.set_interface(i, interface, now);
    }
    said();
  }

  /// What it says now, to whom it may concern.
  std::vector<RoutingProtocol::Message> said() {
    std::vector<RoutingProtocol::Message> all;
    while (auto message = rip.poll_transmit(now)) all.push_back(std::move(*message));
    return all;
  }
  void hear(std::uint8_t interface, const RipMessage& message,
            std::optional<stack::IpPort> from = {}) {
    std::vector<std::byte> bytes(message.size());
    write(message, bytes);
    rip.input(interface, from.value_or(stack::IpPort{Ipv4Address::of(10, 0, interface, 2), 520}),
              bytes, now);
  }
  static RipMessage response(const RipEntry& entry) {
    RipMessage message{.command = RipCommand::response};
    message.entries.push_back(entry);
    return message;
  }

  Instant now{1h};
  Rip rip;
};

TEST(Rip, TellsANeighborThatWhatItSaidIsOutOfReachThroughUs) {
  for (const auto& [how, expected] :
       {std::pair(SplitHorizon::poisoned_reverse, 16U), std::pair(SplitHorizon::none, 3U),
        std::pair(SplitHorizon::simple, 0U)}) {
    Alone alone({.split_horizon = how});
    alone.now += 10s;
    alone.hear(0, Alone::response({.prefix = network(9), .metric = 2}));
    std::uint32_t told[2] = {};
    for (const auto& message : alone.said()) {
      EXPECT_FALSE(message.to) << "everybody";
      const auto rip = wire::parse_rip(message.bytes);
      ASSERT_TRUE(rip);
      for (const RipEntry& entry : rip->entries) {
        EXPECT_EQ(entry.prefix, network(9)) << "a triggered update tells of changes alone";
        told[message.interface] = entry.metric;
      }
    }
    EXPECT_EQ(told[0], expected);
    EXPECT_EQ(told[1], 3U);
  }
}

TEST(Rip, TellsOfChangesAtOnceButNotMoreOftenThanEverySecond) {
  Alone alone;
  alone.now += 10s;
  alone.said();
  const auto before = alone.rip.counters().triggered;
  for (int i = 0; i < 1000; ++i) {  // ten seconds of a route that comes and goes
    alone.hear(0, Alone::response({.prefix = network(9), .metric = i % 2 == 0 ? 1U : 16U}));
    alone.said();
    if (i == 0) {
      EXPECT_EQ(alone.rip.counters().triggered, before + 1);
    }
    alone.now += 10ms;
  }
  const auto triggered = alone.rip.counters().triggered - before;
  EXPECT_LE(triggered, 11U);
  EXPECT_GE(triggered, 2U);
}

TEST(Rip, AnswersRequestsToWhoAsks) {
  Alone alone;
  alone.now += 10s;
  alone.hear(0, Alone::response({.prefix = network(9), .metric = 2}));
  alone.said();
  const stack::IpPort asker{Ipv4Address::of(10, 0, 1, 77), 4000};
  alone.hear(1, {.command = RipCommand::request, .whole_table = true}, asker);
  auto said = alone.said();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].to, asker);
  EXPECT_EQ(said[0].interface, 1U);
  auto table = wire::parse_rip(said[0].bytes).value();
  ASSERT_EQ(table.entries.size(), 2U) << "line 0 and network 9, not the link they are on";
  EXPECT_EQ(table.entries[1].metric, 3U);

  RipMessage some{.command = RipCommand::request};
  some.entries.push_back({.prefix = network(1)});
  some.entries.push_back({.prefix = network(200)});
  alone.hear(1, some, asker);
  said = alone.said();
  ASSERT_EQ(said.size(), 1U);
  table = wire::parse_rip(said[0].bytes).value();
  EXPECT_EQ(table.entries[0].metric, 1U);
  EXPECT_EQ(table.entries[1].metric, 16U);
}

TEST(Rip, BelievesRoutersOfTheLinkAlone) {
  Alone alone;
  const RipMessage lie = Alone::response({.prefix = network(9), .metric = 1});
  alone.hear(0, lie, stack::IpPort{Ipv4Address::of(10, 0, 0, 2), 4000});
  alone.hear(0, lie, stack::IpPort{Ipv4Address::of(10, 0, 1, 2), 520});
  alone.hear(0, lie, stack::IpPort{Ipv4Address::of(10, 0, 0, 1), 520});
  EXPECT_EQ(alone.rip.counters().strange, 3U);
  RipMessage secret = lie;
  secret.password = wire::RipPassword{};
  secret.password->push_back('k');
  alone.hear(0, secret);
  EXPECT_EQ(alone.rip.counters().malformed, 1U) << "we agreed on no password";
  EXPECT_EQ(alone.rip.metric(network(9)), std::nullopt);
  alone.hear(0, lie);
  EXPECT_EQ(alone.rip.metric(network(9)), 2U);

  const std::pair<Ipv4Prefix, const char*> bad[] = {
      {{Ipv4Address::of(10, 0, 9, 1), 24}, "a host's address as a network"},
      {{Ipv4Address::of(127, 0, 0, 0), 8}, "loopback"},
      {{Ipv4Address::of(224, 0, 0, 0), 4}, "a group"},
      {{Ipv4Address::of(240, 0, 0, 0), 4}, "class E"},
      {{Ipv4Address::of(0, 1, 0, 0), 16}, "a part of network 0"}};
  for (const auto& [prefix, what] : bad) {
    alone.hear(0, Alone::response({.prefix = prefix, .metric = 1}));
    EXPECT_EQ(alone.rip.metric(prefix), std::nullopt) << what;
  }
  const Ipv4Prefix everywhere{};
  alone.hear(0, Alone::response({.prefix = everywhere, .metric = 1}));
  EXPECT_EQ(alone.rip.metric(everywhere), 2U) << "the default route is one";
  alone.hear(0, Alone::response({.prefix = network(1), .metric = 1}));
  EXPECT_EQ(alone.rip.metric(network(1)), 1U) << "nobody knows our links better";
}

TEST(Rip, SendsToTheNextHopThatIsNamedIfItIsOnTheLink) {
  Alone alone;
  const auto gateway = [&](Ipv4Address next_hop) {
    alone.hear(0, Alone::response({.prefix = network(9), .next_hop = next_hop, .metric = 1}));
    const auto routes = alone.rip.poll_routes(alone.now);
    return stack::to_string(routes->at({network(9).address, 24}).front().gateway);
  };
  EXPECT_EQ(gateway(Ipv4Address::of(10, 0, 0, 3)), "10.0.0.3");
  EXPECT_EQ(gateway(Ipv4Address::of(10, 0, 7, 3)), "10.0.0.2");
}

TEST(Rip, PrefersOneThatSpeaksToOneThatHasBeenSilentForLong) {
  Alone alone;
  alone.hear(0, Alone::response({.prefix = network(9), .metric = 3}));
  alone.now += 60s;
  alone.hear(1, Alone::response({.prefix = network(9), .metric = 3}));
  const auto gateway = [&] {
    return stack::to_string(
        alone.rip.poll_routes(alone.now)->at({network(9).address, 24}).front().gateway);
  };
  EXPECT_EQ(gateway(), "10.0.0.2") << "not yet";
  alone.now += 40s;
  alone.hear(1, Alone::response({.prefix = network(9), .metric = 3}));
  EXPECT_EQ(gateway(), "10.0.1.2");
}

TEST(Rip, TakesAnyBytesForAMessageAndKeepsItsHead) {
  Alone alone;
  RipMessage whole = Alone::response({.prefix = network(9), .metric = 1});
  whole.entries.push_back({.prefix = network(8), .metric = 2});
  std::vector<std::byte> bytes(whole.size());
  write(whole, bytes);
  Prng chance(1);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> damaged(
        bytes.begin(), bytes.begin() + static_cast<int>(chance.below(bytes.size() + 1)));
    for (std::uint64_t flips = chance.below(8); flips > 0 && !damaged.empty(); --flips)
      damaged[chance.below(damaged.size())] = static_cast<std::byte>(chance());
    alone.rip.input(chance.below(3), {Ipv4Address::of(10, 0, 0, 2), 520}, damaged, alone.now);
    alone.now += 100ms;
    alone.said();
    alone.rip.poll_routes(alone.now);
  }
  EXPECT_EQ(alone.rip.metric(network(0)), 1U);
}

// 0, 1 and 2 in a circle, and behind 0 there is 3: what becomes of 3's network when it goes while
// some of the bad news are lost? Those who still tell of it have learned it from each other.
TEST(Rip, CountsToInfinityAndNoFarther) {
  int counted = 0;
  try_seeds(40, [&](std::uint64_t seed) {
    Net net(4, {}, seed);
    net.join(0, 1);
    net.join(1, 2);
    net.join(2, 0);
    net.join(0, 3);
    net.run_for(60s);
    EXPECT_EQ(net.metric(1, 3), 2U);
    net.set_up(3, false);
    net.loss = 0.5;
    std::uint32_t farthest = 0;
    for (int i = 0; i < 1700; ++i) {  // 16 steps of up to 5 s, behind an update and a half
      if (i == 40) net.loss = 0;
      net.run_for(100ms);
      for (std::size_t router = 0; router < 3; ++router) {
        const std::uint32_t metric = net.metric(router, 3);
        EXPECT_LE(metric, wire::rip_infinity);
        if (metric < wire::rip_infinity) farthest = std::max(farthest, metric);
      }
    }
    if (farthest > 4) ++counted;
    for (std::size_t router = 0; router < 3; ++router) EXPECT_EQ(net.hop(router, 3), "") << router;
  });
  if (detail::environment("KOINE_SEED") == nullptr) {
    EXPECT_GT(counted, 0) << "else nobody believed a dead way";
  }
}

TEST(Rip, WithoutSplitHorizonTwoRoutersMisleadEachOther) {
  const auto farthest = [](SplitHorizon how) {
    std::uint32_t most = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Net net(3, {.split_horizon = how}, seed);
      net.join(0, 1);
      net.join(1, 2);
      net.run_for(60s);
      net.set_up(1, false);
      net.loss = 0.5;
      for (int i = 0; i < 600; ++i) {
        net.run_for(100ms);
        net.loss = 0;
        for (std::size_t router = 0; router < 2; ++router)
          if (net.metric(router, 1) < wire::rip_infinity)
            most = std::max(most, net.metric(router, 1));
      }
    }
    return most;
  };
  EXPECT_GT(farthest(SplitHorizon::none), 10U);
  EXPECT_EQ(farthest(SplitHorizon::poisoned_reverse), 2U);
  EXPECT_EQ(farthest(SplitHorizon::simple), 2U);
}

TEST(Rip, RepairsWhatLossHasDone) {
  Net net = ring();
  net.loss = 0.4;
  net.run_for(1000s);
  net.loss = 0;
  net.run_for(70s);
  EXPECT_EQ(net.hop(0, 5), "10.0.0.2");
  EXPECT_EQ(net.metric(0, 5), 3U);
}

// The same in a world: client - a - b - server, and the longer way a - c - d - b.
class RipWorld : public testing::Test {
 protected:
  Router& router(const char* name) { return world.router(name, {.routing = Routing::rip}); }
  World world{test_seed()};
  Host& client = world.host("client");
  Host& server = world.host("server");
  Router& a = router("a");
  Router& b = router("b");
  Router& c = router("c");
  Router& d = router("d");
  Link& at_client = world.link(client, a, {.rate = 100_Mbit, .delay = 1ms});
  Link& direct = world.link(a, b, {.rate = 10_Mbit, .delay = 5ms});
  Link& at_c = world.link(a, c, {.rate = 10_Mbit, .delay = 5ms});
  Link& at_d = world.link(c, d, {.rate = 10_Mbit, .delay = 5ms});
  Link& back = world.link(d, b, {.rate = 10_Mbit, .delay = 5ms});
  Link& at_server = world.link(b, server, {.rate = 100_Mbit, .delay = 1ms});
};

TEST_F(RipWorld, AStreamGoesOnByAnotherWay) {
  world.run_for(60s);
  EXPECT_EQ(a.rip()->metric(network(5)), 2U);
  EXPECT_EQ(a.link_state(), nullptr);
  const auto routes = a.routes();
  server.run(echo_server);
  client.run(echo_client);
  world.after(100ms, [&] { direct.cut(); });
  world.run(5min);
  EXPECT_TRUE(client.finished()) << why(client);
  EXPECT_GT(c.stack()->counters().forwarded, 100U);
  direct.mend();
  world.run_for(60s);
  EXPECT_EQ(a.routes(), routes) << "repair restores the routes";
}

TEST_F(RipWorld, ARouterThatRebootsAsksAndKnows) {
  world.run_for(60s);
  const auto routes = b.routes();
  b.crash();
  EXPECT_EQ(b.rip(), nullptr);
  world.run_for(10s);
  b.reboot();
  world.run_for(10s);
  EXPECT_EQ(b.routes(), routes);
  EXPECT_EQ(b.rip()->counters().updates, 0U) << "its neighbors were asked: no update was due yet";
}

}  // namespace
}  // namespace koine::sim
